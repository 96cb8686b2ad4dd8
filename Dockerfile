FROM python:3.11-slim AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

# First what rarely changes, so that a change of the code doesn't download everything again.
WORKDIR /build
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN python -m venv --without-pip /opt/livestream-bot \
    && pip --python /opt/livestream-bot/bin/python install --require-hashes --no-deps -r requirements/runtime.txt \
    && pip install --require-hashes --no-deps -r requirements/build.txt

COPY LICENSE pyproject.toml ./
COPY manifests/slack manifests/slack
COPY bot bot
RUN pip wheel --no-build-isolation --no-deps --wheel-dir dist . \
    && pip --python /opt/livestream-bot/bin/python install --no-deps dist/*.whl


FROM python:3.11-slim

LABEL org.opencontainers.image.title="livestream-bot" \
      org.opencontainers.image.licenses="MIT"

# A number, so that Kubernetes can verify that it isn't root (runAsNonRoot).
RUN groupadd --gid 10001 bot \
    && useradd --uid 10001 --gid bot --create-home --home-dir /var/lib/livestream-bot --shell /usr/sbin/nologin bot

COPY --from=builder /opt/livestream-bot /opt/livestream-bot

ENV PATH=/opt/livestream-bot/bin:$PATH \
    HOME=/var/lib/livestream-bot \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONFAULTHANDLER=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=3000

USER 10001:10001
WORKDIR /var/lib/livestream-bot
EXPOSE 3000

# Bypass any proxy in HTTP_PROXY: this request is for the container itself.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import os; from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]

ENTRYPOINT ["livestream-bot"]
CMD ["run"]
