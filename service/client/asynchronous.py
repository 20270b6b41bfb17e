"""The client for programs that await."""

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Unpack

from service.client.jobs import AsyncJob, AsyncJobs
from service.client.orders import Options, Order, SkeletonsJson, VideoSource, recognition, skeleton_recognition
from service.client.streaming import Message, PictureSource, open_stream
from service.client.transport import DEFAULT_URL, TIMEOUT_S, Transport
from service.schemas import Answer, Models
from service.streams.messages import Config

__all__ = ["AsyncClient", "AsyncJob", "AsyncJobs"]

RECOGNIZE = "/v1/recognize"
DEFAULT_CONFIG = Config()


class AsyncClient:
    """A client of the service at ``url``; ``async with`` closes its connections.

    ``timeout_s`` is how long an answer may keep silent. A service that is full says when to come back; ``retries`` is
    how often to do so. Every method raises ``ServiceProblem`` for what the service says is wrong, ``Unreachable`` when
    it cannot be reached.
    """

    def __init__(
        self, url: str = DEFAULT_URL, *, api_key: str | None = None, timeout_s: float = TIMEOUT_S, retries: int = 0
    ) -> None:
        self._transport = Transport(url, api_key=api_key, timeout_s=timeout_s, retries=retries)
        self.jobs = AsyncJobs(self._transport)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def recognize(self, video: VideoSource, **options: Unpack[Options]) -> Answer:
        """Return who does what in a video, from when to when."""
        reply = await self._transport.send(recognition(RECOGNIZE, video, options))
        return Answer.model_validate_json(reply.content)

    async def recognize_skeletons(self, skeletons: SkeletonsJson, **options: Unpack[Options]) -> Answer:
        """Return what people do whose keypoints are known already."""
        reply = await self._transport.send(skeleton_recognition(skeletons, options))
        return Answer.model_validate_json(reply.content)

    async def models(self) -> Models:
        """List the recognisers with their cards, and the pose backends."""
        reply = await self._transport.send(Order("GET", "/v1/models"))
        return Models.model_validate_json(reply.content)

    def stream(self, frames: PictureSource, config: Config = DEFAULT_CONFIG) -> AsyncGenerator[Message]:
        """Send pictures (JPEG or WebP) with rising capture times, and yield all that the service says, until the end.

        ``frames`` may be a function, which is called with the service's ``Ready``.

        With ``config.drop`` "never" a picture waits for its turn; with "oldest" those that come too quickly are left
        out, and ``Dropped`` says which. An error of ``frames`` is raised once what was sent has been answered.
        """
        return open_stream(self._transport, frames, config)
