# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements/run.txt requirements/run.txt
RUN python -m venv /opt/cxai \
 && /opt/cxai/bin/pip install --no-cache-dir --disable-pip-version-check \
    --require-hashes --requirement requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY worker worker
RUN /opt/cxai/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
 && /opt/cxai/bin/cxai --version

FROM python:3.13-slim
COPY --from=build /opt/cxai /opt/cxai
RUN useradd --system --uid 10001 --create-home --home-dir /data cxai
USER cxai
WORKDIR /data
ENV PATH=/opt/cxai/bin:$PATH PYTHONUNBUFFERED=1
STOPSIGNAL SIGTERM
ENTRYPOINT ["cxai"]
CMD ["--help"]
