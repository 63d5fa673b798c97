"""One task waits for a change, or until a time."""

import asyncio

import pytest
from support.virtual import quiet, virtually

from cxai.governor.news import News


async def waited(news, seconds):
    begun = asyncio.get_running_loop().time()
    await news.within(seconds)
    return asyncio.get_running_loop().time() - begun


@virtually
async def test_it_waits_for_the_given_time():
    assert await waited(News(), 5.0) == 5.0


@pytest.mark.parametrize("seconds", [None, 5.0])
@virtually
async def test_news_ends_the_wait_and_the_next_one_until_it_is_cleared(seconds):
    news = News()
    waiting = asyncio.create_task(waited(news, seconds))
    await asyncio.sleep(2.0)
    news.set()
    news.set()
    assert await waiting == 2.0
    assert await waited(news, seconds) == 0.0
    news.clear()
    assert await waited(news, 5.0) == 5.0


@virtually
async def test_a_cancelled_wait_leaves_nothing_behind():
    news = News()
    waiting = asyncio.create_task(news.within(5.0))
    await quiet()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    news.set()
    assert await waited(news, 5.0) == 0.0


@virtually
async def test_news_at_the_moment_of_the_timeout_is_kept():
    news = News()
    waiting = asyncio.create_task(waited(news, 5.0))
    await quiet()
    asyncio.get_running_loop().call_at(asyncio.get_running_loop().time() + 5.0, news.set)
    await waiting
    await asyncio.sleep(1.0)
    assert await waited(news, 5.0) == 0.0
