from django.urls import path

from tests.journeys.looms.rugs import api

urlpatterns = [
    path("api/rugs/", api.rugs),
    path("api/rugs/<int:number>/", api.rug),
]
