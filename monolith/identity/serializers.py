"""People, as the API shows them to themselves."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ..catalog.models import Seller
from .models import User


class EmployerSerializer(serializers.ModelSerializer[Seller]):
    class Meta:
        model = Seller
        fields = ["id", "name", "slug"]


class UserSerializer(serializers.ModelSerializer[User]):
    works_for = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ["id", "username", "display_name", "email", "role", "works_for"]

    @extend_schema_field(EmployerSerializer(many=True))
    def get_works_for(self, user: User) -> list[dict[str, object]]:
        sellers = Seller.objects.filter(staff__user=user).order_by("id")
        return EmployerSerializer(sellers, many=True).data


class LoginSerializer(serializers.Serializer[None]):
    username = serializers.CharField()
    password = serializers.CharField(trim_whitespace=False)
