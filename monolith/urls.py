"""Every address that the monolith answers: the API below /api/, the admin, and the pages."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from strangler.chassis import problems

handler400 = problems.bad_request
handler404 = problems.not_found
handler500 = problems.server_error

urlpatterns = [
    path("api/identity/", include("monolith.identity.urls")),
    path("api/catalog/", include("monolith.catalog.urls")),
    path("api/inventory/", include("monolith.inventory.urls")),
    path("api/ordering/", include("monolith.ordering.urls")),
    path("api/promotions/", include("monolith.promotions.urls")),
    path("api/payments/", include("monolith.payments.urls")),
    path("api/fulfilment/", include("monolith.fulfilment.urls")),
    path("api/notifications/", include("monolith.notifications.urls")),
    path("api/reporting/", include("monolith.reporting.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("admin/", admin.site.urls),
    path("", include("monolith.pages")),
]
