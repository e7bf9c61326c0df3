# One image for every part of mailhaul: `docker run … worker`, `… coordinator`, `… import accounts.csv …`.
# Two stages, so that no package manager's cache is in what runs. Run it with a read-only root file system
# (docker-compose.yml does): it writes to /tmp and to its state folder only.

FROM docker.io/library/python:3.11-slim AS build
RUN python -m venv --without-pip /opt/mailhaul
COPY deploy/requirements.lock /tmp/requirements.lock
# Every package in the version and with the hash of requirements.lock; nothing is resolved, nothing is built from source, and
# `pip check` proves that the lock was whole.
RUN python -m venv /opt/pip \
 && /opt/pip/bin/pip --python /opt/mailhaul/bin/python install --no-cache-dir --disable-pip-version-check \
      --no-deps --require-hashes --only-binary :all: -r /tmp/requirements.lock \
 && /opt/pip/bin/pip --python /opt/mailhaul/bin/python check
COPY producer /opt/mailhaul/app/producer
COPY shared /opt/mailhaul/app/shared
COPY worker /opt/mailhaul/app/worker
COPY deploy/make_secrets.py LICENSE /opt/mailhaul/deploy/
COPY deploy/redis/users.acl.template /opt/mailhaul/deploy/redis/
COPY pyproject.toml /tmp/pyproject.toml
# Bytecode is written now, since nothing can be written later.
RUN version="$(python -c 'import tomllib; print(tomllib.load(open("/tmp/pyproject.toml", "rb"))["project"]["version"])')" \
 && mkdir "/opt/mailhaul/app/mailhaul-$version.dist-info" \
 && printf 'Metadata-Version: 2.1\nName: mailhaul\nVersion: %s\n' "$version" \
      >"/opt/mailhaul/app/mailhaul-$version.dist-info/METADATA" \
 && printf '#!/opt/mailhaul/bin/python -P\nfrom producer.__main__ import run\n\nrun()\n' >/opt/mailhaul/bin/mailhaul \
 && chmod 755 /opt/mailhaul/bin/mailhaul \
 && PYTHONPATH=/opt/mailhaul/app /opt/mailhaul/bin/python -m compileall -q /opt/mailhaul

FROM docker.io/library/python:3.11-slim
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mailhaul" \
      org.opencontainers.image.description="Moves thousands of mailboxes into your own server: nothing lost, nothing twice, nothing changed." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim"
# Numbers, so that Kubernetes can see that it is not root. The folders exist and are ours, so that a fresh volume is too.
RUN groupadd --gid 10001 mailhaul \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/mailhaul --shell /usr/sbin/nologin mailhaul \
 && install -d -m 0700 -o 10001 -g 10001 /var/lib/mailhaul \
 && install -d -m 0755 -o 10001 -g 10001 /secrets /secrets/redis /secrets/worker /secrets/coordinator /secrets/producer /secrets/admin /secrets/grafana
COPY --from=build /opt/mailhaul /opt/mailhaul
ENV PATH=/opt/mailhaul/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/mailhaul/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MAILHAUL_STATE_DIR=/var/lib/mailhaul \
    MAILHAUL_LISTEN_HOST=0.0.0.0 \
    MAILHAUL_COORDINATOR_PORT=9470 \
    MAILHAUL_WORKER_METRICS_PORT=9470 \
    MAILHAUL_WEB_METRICS_PORT=9470 \
    MAILHAUL_WEB_HOST=0.0.0.0 \
    MAILHAUL_BUILD_REVISION=${REVISION}
USER 10001:10001
WORKDIR /var/lib/mailhaul
EXPOSE 9470 9480
# A worker, coordinator or web process; what runs for a moment only (import, status) is over before it is asked.
HEALTHCHECK --interval=15s --timeout=6s --start-period=30s --retries=3 CMD ["python", "-P", "-m", "shared.probe", "9470"]
STOPSIGNAL SIGTERM
# Exec form: the process is number 1 and hears SIGTERM itself. It starts no children, so it needs no init.
ENTRYPOINT ["mailhaul"]
CMD ["--help"]
