import threading

import pytest

from patience import HANG_S
from qiosk.solvers.search.parallel import Parallel


@pytest.fixture(params=[1, 2, 5])
def parallel(request):
    parallel = Parallel(request.param)
    yield parallel
    parallel.close()


@pytest.mark.parametrize("items", [0, 1, 2, 3, 100])
def test_every_item_is_worked_on_once(parallel, items):
    done = []
    parallel.each(done.append, range(items))
    assert sorted(done) == list(range(items))


def test_as_many_threads_as_asked_for_work_at_the_same_time_and_one_is_the_callers(parallel):
    meeting = threading.Barrier(parallel.threads, timeout=HANG_S)
    workers = set()

    def meet(_):
        workers.add(threading.get_ident())
        meeting.wait()

    parallel.each(meet, range(parallel.threads))
    assert len(workers) == parallel.threads
    assert threading.get_ident() in workers


def test_an_error_is_raised_after_every_other_piece_is_done(parallel):
    done = []

    def work(item):
        if item == 0:
            raise RuntimeError("piece 0")
        done.append(item)

    with pytest.raises(RuntimeError, match="piece 0"):
        parallel.each(work, range(2 * parallel.threads))
    if parallel.threads > 1:
        assert sorted(done) == list(range(1, 2 * parallel.threads))


def test_it_goes_on_after_an_error(parallel):
    with pytest.raises(ZeroDivisionError):
        parallel.each(lambda item: 1 // item, [0])
    done = []
    parallel.each(done.append, range(3))
    assert sorted(done) == [0, 1, 2]
