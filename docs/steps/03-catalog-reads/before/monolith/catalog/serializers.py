"""Products and what belongs to them, as the API shows and takes them."""

from rest_framework import serializers

from .models import Category, Product, Review, Seller


class SellerSerializer(serializers.ModelSerializer[Seller]):
    class Meta:
        model = Seller
        fields = ["id", "name", "slug", "description", "country", "created_at"]


class SellerDetailSerializer(SellerSerializer):
    product_count = serializers.SerializerMethodField()

    class Meta(SellerSerializer.Meta):
        fields = [*SellerSerializer.Meta.fields, "product_count"]

    def get_product_count(self, seller: Seller) -> int:
        return seller.products.filter(status=Product.Status.ACTIVE).count()


class CategorySerializer(serializers.ModelSerializer[Category]):
    parent = serializers.SlugRelatedField(slug_field="slug", read_only=True)

    class Meta:
        model = Category
        fields = ["id", "name", "slug", "parent"]


class CategoryDetailSerializer(CategorySerializer):
    children = CategorySerializer(many=True, read_only=True)

    class Meta(CategorySerializer.Meta):
        fields = [*CategorySerializer.Meta.fields, "children"]


class SellerBriefSerializer(serializers.ModelSerializer[Seller]):
    class Meta:
        model = Seller
        fields = ["id", "name", "slug"]


class CategoryBriefSerializer(serializers.ModelSerializer[Category]):
    class Meta:
        model = Category
        fields = ["id", "name", "slug"]


class ProductSerializer(serializers.ModelSerializer[Product]):
    seller = SellerBriefSerializer(read_only=True)
    category = CategoryBriefSerializer(read_only=True)

    class Meta:
        model = Product
        fields = [
            "id",
            "sku",
            "slug",
            "name",
            "seller",
            "category",
            "status",
            "price",
            "currency",
            "in_stock",
            "units_sold",
            "rating_average",
            "rating_count",
        ]


class ProductDetailSerializer(ProductSerializer):
    class Meta(ProductSerializer.Meta):
        fields = [
            *ProductSerializer.Meta.fields,
            "description",
            "weight",
            "attributes",
            "created_at",
            "updated_at",
        ]


class ProductForStaffSerializer(ProductDetailSerializer):
    """With what the seller's staff, support and admins alone may see."""

    created_by = serializers.PrimaryKeyRelatedField(read_only=True)

    class Meta(ProductDetailSerializer.Meta):
        fields = [*ProductDetailSerializer.Meta.fields, "created_by"]


class ProductWriteSerializer(serializers.ModelSerializer[Product]):
    class Meta:
        model = Product
        fields = [
            "sku",
            "name",
            "description",
            "seller",
            "category",
            "status",
            "price",
            "currency",
            "weight",
            "attributes",
        ]


class ReviewSerializer(serializers.ModelSerializer[Review]):
    author = serializers.CharField(source="author.display_name", read_only=True)
    rating = serializers.IntegerField(min_value=1, max_value=5)

    class Meta:
        model = Review
        fields = ["id", "author", "rating", "text", "created_at"]
        read_only_fields = ["created_at"]
