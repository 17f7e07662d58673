"""Tests that crash, hang, exit and fail: `test_harness` shows that the others survive them."""

import atexit
import ctypes
import os
import signal
import time
import unittest


class Faulty(unittest.TestCase):
    """Each test but the passing ones ends in its own way, in this order."""

    alone = True

    def test_a_passes(self) -> None:
        Faulty.alone = False

    def test_b_crashes(self) -> None:
        ctypes.string_at(0)

    def test_c_passes(self) -> None:
        Faulty.alone = False

    def test_d_exits(self) -> None:
        os._exit(0)

    def test_e_hangs_asleep(self) -> None:
        time.sleep(3600)

    def test_f_hangs_deaf(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            pass

    def test_g_interrupts(self) -> None:
        raise KeyboardInterrupt

    def test_h_fails(self) -> None:
        Faulty.alone = False
        self.fail("as it should")

    def test_i_fails_in_a_subtest(self) -> None:
        with self.subTest("the failing one"):
            self.fail("as it should")

    def test_j_is_slow_in_company(self) -> None:
        dt = 0.0 if Faulty.alone else 9.0
        assert dt < 1.0

    def test_k_is_always_slow(self) -> None:
        dt = 9.0
        assert dt < 1.0

    @unittest.skip("as it should")
    def test_l_is_skipped(self) -> None:
        raise AssertionError

    def test_m_forks(self) -> None:
        if os.fork() == 0:
            raise AssertionError("reported by the child, so not at all")
        os.wait()

    def test_z_crashes_at_exit(self) -> None:
        atexit.register(os.kill, os.getpid(), signal.SIGSEGV)
