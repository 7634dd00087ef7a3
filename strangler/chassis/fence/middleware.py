"""Refuses a write whose rows are fenced before it begins; says of one that met the fence what it has done.

A refusal carries `x-strangler-fenced` only where nothing was done: the gateway then sends the request again,
to whoever owns the rows by that time. Without it nobody may.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from strangler.chassis import problems
from strangler.chassis.fence import footprint
from strangler.chassis.ownership import Beliefs
from strangler.chassis.writing import SAFE_METHODS

CAPABILITY = "x-strangler-capability"  # set by the gateway, which takes it away from what clients send
FENCED = "x-strangler-fenced"

NOTHING_DONE = "These rows are moving to another home. Nothing was done; send the request again."
MOVED = "These rows belong to another home now. Nothing was done; {said}"
PARTLY_DONE = (
    "These rows belong to another home by now, and a part of this request had been done ({done}). Look at "
    "what is there before you send it again."
)


class FenceMiddleware:
    """Stands outside of everything that opens a transaction."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._beliefs = Beliefs()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with footprint.watched() as done:
            named = request.headers.get(CAPABILITY, "")
            if named and request.method not in SAFE_METHODS and not self._beliefs.owns(named):
                return refusal(request, done)
            answer = self._get_response(request)
            # Whatever a view has made of the error, the client must know that its write was refused. A
            # request of the capability goes to whoever owns the rows by now; any other comes back here.
            done.moving |= bool(named)
            return refusal(request, done) if done.fenced else answer


def refusal(request: HttpRequest, done: footprint.Footprint) -> HttpResponse:
    """503, with or without the word that the request may be sent again."""
    if not done.clean:
        said = PARTLY_DONE.format(done="; ".join(dict.fromkeys(done.lasting)))
    else:
        said = NOTHING_DONE if done.moving else MOVED.format(said=" ".join(done.fenced.split()))
    if request.path.startswith(problems.API):
        answer: HttpResponse = JsonResponse(
            problems.problem(503, "moving" if done.moving else "moved", said),
            status=503,
            content_type=problems.MEDIA_TYPE,
        )
    else:
        answer = HttpResponse(f"{done.fenced or said}\n{said}\n", status=503, content_type="text/plain")
    if done.clean and done.moving:
        answer[FENCED] = "1"
        answer["Retry-After"] = "1"
    return answer
