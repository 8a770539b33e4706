# The image of every process of ours: the API, the worker, the relay, beat and the migrations (prod.yml says which).

FROM python:3.13-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements/production.txt requirements/
RUN pip install --requirement requirements/production.txt
COPY pyproject.toml README.md ./
COPY src/__init__.py src/
# The key2key command, which finds the program where the runtime stage puts it.
RUN pip install --no-deps --editable .

FROM python:3.13-slim-trixie AS runtime
# pg_dump and pg_restore of `key2key backup`: not older than the server of dev.yml and prod.yml.
ARG POSTGRES_MAJOR=18
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates postgresql-common \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install --yes --no-install-recommends "postgresql-client-${POSTGRES_MAJOR}" \
    && apt-get purge --yes --auto-remove postgresql-common \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY . .
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    HOST=0.0.0.0 \
    DATA_DIR=/data
# /metrics is mounted over by a tmpfs, which takes its mode from here when a container starts again.
RUN python -m compileall -q src \
    && install --directory --owner=10001 --group=10001 /data \
    && install --directory --mode=1777 /metrics
USER 10001:10001
EXPOSE 8000
VOLUME /data
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
# The other processes: key2key migrate, key2key worker, key2key relay, key2key beat.
CMD ["gunicorn", "--config", "deploy/gunicorn.py"]
