"""Every address that the service answers."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from strangler.chassis import problems

handler400 = problems.bad_request
handler404 = problems.not_found
handler500 = problems.server_error

urlpatterns = [
    path("api/catalog/", include("extracted.catalog.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
]
