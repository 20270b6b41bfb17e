import hashlib
import hmac
import random
import threading
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from service.cameras.backoff import Backoff
from service.cameras.webhooks import Delivery, Webhook

SECRET = SecretStr("a secret of many characters")


@contextmanager
def posting_to(url, *, secret=None, close_within_s=5.0, first_s=0.01, **options):
    outcomes = Counter()
    webhook = Webhook(
        url,
        secret=secret,
        backoff=Backoff(random.Random(0), first_s=first_s, longest_s=10 * first_s),
        count=lambda host, outcome: outcomes.update([str(outcome)]),
        **options,
    )
    webhook.outcomes = outcomes
    webhook.start()
    try:
        yield webhook
    finally:
        webhook.stop(within_s=close_within_s)
        webhook.join(close_within_s)


def deliveries(num):
    return [Delivery(f"id-{index}", f'{{"place":{index}}}'.encode()) for index in range(num)]


def test_events_are_posted_in_order_with_their_ids(receiver):
    with posting_to(f"{receiver.url}/hook?key=x") as webhook:
        for delivery in deliveries(20):
            webhook.offer(delivery)
    assert receiver.bodies == [delivery.body for delivery in deliveries(20)]
    assert [post.headers["x-marey-event-id"] for post in receiver.posted] == [f"id-{index}" for index in range(20)]
    assert {post.path for post in receiver.posted} == {"/hook?key=x"}
    assert {post.headers["content-type"] for post in receiver.posted} == {"application/json"}
    assert webhook.outcomes == {"delivered": 20}


def test_the_signature_is_an_hmac_of_the_time_and_the_body(receiver):
    with posting_to(receiver.url, secret=SECRET) as webhook:
        webhook.offer(deliveries(1)[0])
    (post,) = receiver.posted
    timestamp = post.headers["x-marey-timestamp"]
    assert abs(time.time() - int(timestamp)) < 60
    expected = hmac.new(SECRET.get_secret_value().encode(), f"{timestamp}.".encode() + post.body, hashlib.sha256)
    assert post.headers["x-marey-signature"] == f"sha256={expected.hexdigest()}"


def test_without_a_secret_nothing_is_signed(receiver):
    with posting_to(receiver.url) as webhook:
        webhook.offer(deliveries(1)[0])
    assert "x-marey-signature" not in receiver.posted[0].headers


@pytest.mark.parametrize("status", [500, 503, 408, 429])
def test_an_event_is_posted_again_under_its_id_until_it_is_taken_and_later_ones_wait(receiver, status, wait_until):
    receiver.statuses = [status, status]
    first, second = deliveries(2)
    with posting_to(receiver.url) as webhook:
        webhook.offer(first)
        webhook.offer(second)
        wait_until(lambda: webhook.outcomes["delivered"] == 2)
    assert receiver.bodies == [first.body] * 3 + [second.body]
    assert {post.headers["x-marey-event-id"] for post in receiver.posted[:3]} == {"id-0"}
    assert webhook.outcomes == {"retried": 2, "delivered": 2}


@pytest.mark.parametrize("status", [302, 307, 400, 404, 410])
def test_an_event_that_is_refused_or_sent_elsewhere_is_given_up(receiver, status, log):
    receiver.statuses = [status]
    with posting_to(receiver.url) as webhook:
        for delivery in deliveries(2):
            webhook.offer(delivery)
    assert receiver.bodies == [delivery.body for delivery in deliveries(2)]
    assert {post.path for post in receiver.posted} == {"/"}
    assert webhook.outcomes == {"refused": 1, "delivered": 1}
    assert [line["status"] for line in log if line["event"] == "webhook_answered"] == [status]


def test_a_receiver_that_is_away_gets_what_happened_meanwhile(receiver, wait_until):
    receiver.stop()
    with posting_to(receiver.url) as webhook:
        for delivery in deliveries(3):
            webhook.offer(delivery)
        wait_until(lambda: webhook.outcomes["retried"] >= 2)
        receiver.start()
        wait_until(lambda: webhook.outcomes["delivered"] == 3)
    assert receiver.bodies == [delivery.body for delivery in deliveries(3)]


def test_the_oldest_is_dropped_where_too_many_wait_and_it_is_said(receiver, wait_until, log):
    receiver.stop()
    with posting_to(f"{receiver.url}/hunter2", max_waiting=3) as webhook:
        for delivery in deliveries(10):
            webhook.offer(delivery)
        receiver.start()
        wait_until(lambda: webhook.outcomes["delivered"] == 3)
    assert receiver.bodies == [delivery.body for delivery in deliveries(10)[-3:]]
    assert webhook.outcomes["dropped"] == 7
    assert len([line for line in log if line["event"] == "webhook_event_dropped"]) == 7
    assert "hunter2" not in str(log)


def test_what_waits_is_tried_once_more_at_the_end(receiver):
    receiver.statuses = [503]
    with posting_to(receiver.url, first_s=60) as webhook:
        webhook.offer(deliveries(1)[0])
        while not webhook.outcomes["retried"]:
            threading.Event().wait(0.005)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 2
    assert webhook.outcomes == {"retried": 1, "delivered": 1}


def test_a_receiver_that_does_not_answer_does_not_hold_the_end_up(receiver, wait_until, log):
    receiver.stall.set()
    with posting_to(receiver.url, close_within_s=0.1) as webhook:
        for delivery in deliveries(2):
            webhook.offer(delivery)
        wait_until(lambda: receiver.posted)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 1
    assert [line["lost"] for line in log if line["event"] == "webhook_events_lost"] == [2]
    receiver.stall.clear()
