# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements/extras.txt requirements/build.txt requirements/
# From complete locks, so that no resolver takes part; nothing is built with tools that no lock names.
RUN python -m venv /opt/cxai \
 && /opt/cxai/bin/pip install --no-cache-dir --disable-pip-version-check \
    --no-deps --require-hashes --only-binary :all: --requirement requirements/extras.txt \
 && /opt/cxai/bin/pip install --no-cache-dir --disable-pip-version-check \
    --no-deps --require-hashes --only-binary :all: --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY worker worker
RUN /opt/cxai/bin/pip install --no-cache-dir --disable-pip-version-check \
    --no-deps --no-build-isolation . \
 && /opt/cxai/bin/pip uninstall --quiet --yes --requirement requirements/build.txt \
 && /opt/cxai/bin/pip check \
 && /opt/cxai/bin/cxai --version

FROM python:3.13-slim
COPY --from=build /opt/cxai /opt/cxai
RUN useradd --system --uid 10001 --create-home --home-dir /data cxai
# A number, since Kubernetes can't see that a name is not root (runAsNonRoot).
USER 10001
WORKDIR /data
ENV PATH=/opt/cxai/bin:$PATH PYTHONUNBUFFERED=1
# A stopped run waits up to grace_s (30 s) for replies, then commits: allow it 45 s in all.
# docker stop --time 45, or in Kubernetes terminationGracePeriodSeconds: 45.
STOPSIGNAL SIGTERM
ENTRYPOINT ["cxai"]
CMD ["--help"]
