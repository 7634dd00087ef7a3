"""/health/live and /health/ready, as the supervisor and the gateway ask them"""

from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import RequestFactory

from strangler.chassis.health import HealthMiddleware


def test_a_probe_needs_no_allowed_host(db, client):
    for path in ("/health/live", "/health/ready"):
        assert client.get(path, headers={"host": "the-name-of-a-cluster"}).status_code == 200


def test_a_process_lives_but_is_not_ready_without_its_database(client, monkeypatch):
    def refuse():
        raise OperationalError("connection refused")

    monkeypatch.setattr(connection, "cursor", refuse)
    assert client.get("/health/live").status_code == 200
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["detail"] == "The database doesn't answer."


def test_a_process_is_not_ready_until_its_database_is_migrated(db, client):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'catalog'")
    fresh = HealthMiddleware(lambda request: HttpResponse())
    response = fresh(RequestFactory().get("/health/ready"))
    assert response.status_code == 503
    assert b"migrations are waiting" in response.content
