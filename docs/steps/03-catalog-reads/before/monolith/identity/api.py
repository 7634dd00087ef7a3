"""Signing in and out over the API, and the token that a session is exchanged for at the gateway."""

from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from . import services
from .serializers import LoginSerializer, UserSerializer


@csrf_exempt  # the answer is for whoever holds the cookie, and changes nothing
def exchange(request: HttpRequest, rest: str = "") -> HttpResponse:
    """The token for a session, in the header that goes upstream and in the body.

    The gateway asks with the method and the path of the request that it holds. Whoever hasn't signed in gets
    200 without a token, and goes on as nobody.
    """
    if not request.user.is_authenticated:
        response = JsonResponse({"token": None, "expires_in": 0})  # nosec B105 # says that there is none
    else:
        token = services.issue_token(request.user)
        response = JsonResponse({"token": token, "expires_in": services.TOKEN_LIFETIME})
        response["Authorization"] = f"Bearer {token}"
    response["Cache-Control"] = "no-store"
    return response


@require_safe
def jwks(request: HttpRequest) -> HttpResponse:
    """The public keys, for every home that checks tokens."""
    response = JsonResponse(services.public_keys().as_dict(private=False))
    response["Cache-Control"] = "public, max-age=300"
    return response


class Login(APIView):
    """Open a session."""

    permission_classes = [AllowAny]

    @extend_schema(request=LoginSerializer, responses=UserSerializer)
    def post(self, request: Request) -> Response:
        asked = LoginSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        user = authenticate(request, **asked.validated_data)
        if user is None:
            raise AuthenticationFailed("The name and the password don't belong together.")
        login(request, user)
        return Response(UserSerializer(user).data)


class Logout(APIView):
    """Close the session."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        logout(request)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Me(APIView):
    """Who is asking."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses=UserSerializer)
    def get(self, request: Request) -> Response:
        return Response(UserSerializer(request.user).data)
