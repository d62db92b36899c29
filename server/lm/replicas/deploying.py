"""Replicas put into a Ray cluster, which keeps them running."""

from __future__ import annotations

import ray
from ray import serve
from ray.exceptions import RayError

from server.errors import ModelUnusable
from server.lm.replicas.replica import Engine, Scaling, application


def deploy(cluster: str, name: str, engine: Engine, scaling: Scaling) -> None:
    """Start the application `name`, or change it, and wait until it answers.

    Nothing listens for HTTP: servers reach replicas only through Ray. Raises ModelUnusable.
    """
    joined = not ray.is_initialized()
    try:
        if joined:
            ray.init(cluster, log_to_driver=False, configure_logging=False)
        serve.start(proxy_location="Disabled")
        serve.run(application(engine, scaling), name=name, route_prefix=None)
    except (ConnectionError, RuntimeError, RayError) as error:
        raise ModelUnusable(
            f"the replicas do not start in the Ray cluster at {cluster}"
            f" ({type(error).__name__}); the cluster's logs say why"
        ) from error
    finally:
        if joined:
            ray.shutdown()
