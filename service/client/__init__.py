"""A client of the service, sync and async, that loads neither decoder nor networks."""

from service.client.asynchronous import AsyncClient, AsyncJob, AsyncJobs
from service.client.errors import JobCancelled, ServiceProblem, Unreachable
from service.client.orders import Options, SkeletonsJson, VideoSource
from service.client.synchronous import Client, Job, Jobs
from service.streams.messages import Config

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "AsyncJobs",
    "Client",
    "Config",
    "Job",
    "JobCancelled",
    "Jobs",
    "Options",
    "ServiceProblem",
    "SkeletonsJson",
    "Unreachable",
    "VideoSource",
]
