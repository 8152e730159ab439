# ecsroll as a container: `docker build -t ecsroll .`, then `docker run --rm ecsroll check-ami --cluster prod`.
# The second stage has what the first installed and nothing that could install more.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY ecsroll ecsroll
RUN python -m venv --without-pip /opt/ecsroll \
 && pip --python /opt/ecsroll/bin/python install --no-cache-dir --constraint constraints.txt ".[watch]"

FROM python:3.12-slim
COPY --from=build /opt/ecsroll /opt/ecsroll
# A number: whoever runs it can see that it is not root. It writes nothing, so a read-only root file system will do.
USER 10001:10001
ENV PATH=/opt/ecsroll/bin:/usr/local/bin:/usr/bin:/bin \
    USER=ecsroll \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# The process itself gets the signal that stops the container, and has --stop-grace to give back what it borrowed.
STOPSIGNAL SIGTERM
ENTRYPOINT ["ecsroll"]
CMD ["--help"]
