# The production image. Run `mediation-api migrate` from the same image before the service starts.
FROM python:3.11-slim AS build

WORKDIR /build
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/builder \
    && /opt/builder/bin/pip install --no-cache-dir --require-hashes -r requirements-build.lock \
    && python -m venv /opt/mediation-api \
    && /opt/mediation-api/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY migrations migrations
COPY openapi/mediation-api.v1.json openapi/
RUN /opt/builder/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /build/dist . \
    && /opt/mediation-api/bin/pip install --no-cache-dir --no-deps /build/dist/*.whl

FROM python:3.11-slim

RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin mediation
COPY --from=build /opt/mediation-api /opt/mediation-api
ENV PATH=/opt/mediation-api/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MEDIATION_HOST=0.0.0.0 \
    MEDIATION_PORT=8000
USER 10001
EXPOSE 8000
# Liveness, not readiness: a container must not be killed because its database is unavailable.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 CMD ["python", "-m", "mediation_api.cli.health"]
CMD ["mediation-api", "serve"]
