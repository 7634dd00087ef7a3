"""A capability's tables are the same in both homes, so that a copy is table to table."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.parse

import psycopg
import pytest
from django.db import connection

from strangler.config import load
from tests.tree import ROOT, skip_without

skip_without("extracted/catalog")
TABLES = list(load(ROOT).capabilities["catalog.read"].tables)

COLUMNS = """
SELECT table_name, column_name, data_type, character_maximum_length, numeric_precision, numeric_scale,
       datetime_precision, is_nullable, column_default, is_identity, collation_name
FROM information_schema.columns WHERE table_schema = 'public' AND table_name = ANY(%s)
ORDER BY table_name, column_name
"""
# Unique, check and primary key: foreign keys into other contexts are what extraction takes away.
CONSTRAINTS = """
SELECT conrelid::regclass::text, contype, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid::regclass::text = ANY(%s) AND (contype <> 'f' OR confrelid::regclass::text = ANY(%s))
ORDER BY 1, 2, 3
"""


@pytest.fixture(scope="module")
def service_url(django_db_setup, django_db_blocker):
    """A database that the service's own migrations have made, beside the monolith's."""
    parts = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
    name = f"test_schema_of_catalog_{os.getpid()}"
    url = parts._replace(path=f"/{name}").geturl()
    server = psycopg.connect(parts._replace(path="/postgres").geturl(), autocommit=True)
    try:
        server.execute(f'CREATE DATABASE "{name}"')
        settings = "extracted.catalog.service.settings"
        subprocess.run(
            [sys.executable, "-m", "django", "migrate", "--verbosity", "0", "--settings", settings],
            cwd=ROOT,
            env=dict(os.environ, DATABASE_URL=url),
            check=True,
            timeout=60,
        )
        yield url
    finally:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.close()


def both(service_url, query, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        here = cursor.fetchall()
    with psycopg.connect(service_url) as service:
        there = service.execute(query, parameters).fetchall()
    return here, there


def test_columns_have_the_same_names_types_and_nullability(db, service_url):
    here, there = both(service_url, COLUMNS, TABLES)
    assert {row[0] for row in here} == set(TABLES)
    assert here == there


def test_keys_and_checks_are_the_same(db, service_url):
    here, there = both(service_url, CONSTRAINTS, TABLES, TABLES)
    assert len(here) > len(TABLES)
    assert here == there


def test_a_column_that_differs_would_be_noticed(db, service_url):
    with psycopg.connect(service_url) as service:
        service.execute("ALTER TABLE catalog_review ALTER COLUMN author_id TYPE integer")
        there = service.execute(COLUMNS, [TABLES]).fetchall()
        service.rollback()
    here, _ = both(service_url, COLUMNS, TABLES)
    assert here != there
