"""Threads that each check what they do. A line a moment with what each has done; ends at the end of its input."""
import ctypes
import errno
import json
import os
import queue
import select
import socket
import subprocess
import sys
import threading
import time
import traceback
import zlib

libc = ctypes.CDLL(None, use_errno=True)
stopping = threading.Event()
done = {}


def memory():
	"""Blocks change, and every one is still what it was made."""
	blocks = [bytearray(os.urandom(64 << 10)) for _ in range(64)]
	sums = [zlib.crc32(block) for block in blocks]
	while True:
		for i, block in enumerate(blocks):
			assert zlib.crc32(block) == sums[i], f'block {i} changed'
			block[:4096] = os.urandom(4096)
			sums[i] = zlib.crc32(block)
			time.sleep(0.001)
			yield


def calls():
	"""Calls that tell of an interruption by EINTR; Python itself would hide it."""
	epoll, event = select.epoll(), ctypes.create_string_buffer(12)
	while True:
		for name, result in (
			('epoll_wait', libc.epoll_wait(epoll.fileno(), event, 1, 20)),
			('poll', libc.poll(None, 0, 20)),
			('usleep', libc.usleep(20000)),
		):
			assert result == 0, f'{name}: {errno.errorcode[ctypes.get_errno()]}'
			yield


def sockets():
	"""Numbers through a pair of sockets, none lost, none twice."""
	here, there = socket.socketpair()

	def send():
		number = 0
		while not stopping.is_set():
			here.sendall(number.to_bytes(8, 'little'))
			number += 1
			if number % 20 == 0:
				time.sleep(0.002)
		here.close()

	threading.Thread(target=guarded, args=(send,)).start()
	number = 0
	while data := there.recv(8, socket.MSG_WAITALL):
		assert int.from_bytes(data, 'little') == number, f'{data} instead of {number}'
		number += 1
		yield


def queues():
	"""Waits with a time limit, on locks that are futexes."""
	numbers, answers = queue.Queue(2), queue.Queue(2)

	def answer():
		while (number := numbers.get()) is not None:
			answers.put(number * number)

	threading.Thread(target=guarded, args=(answer,)).start()
	number = 0
	while not stopping.is_set():
		numbers.put(number, timeout=60)
		assert answers.get(timeout=60) == number * number
		number += 1
		time.sleep(0.001)
		yield
	numbers.put(None)


def children():
	"""Children of its own, of which there are no more than it has made."""
	while True:
		out = subprocess.run(['expr', '20', '+', '3'], capture_output=True, check=True).stdout
		assert out == b'23\n', out
		try:
			raise AssertionError(f'a child that it did not make: {os.waitpid(-1, os.WNOHANG)}')
		except ChildProcessError:
			pass
		time.sleep(0.02)
		yield


def guarded(action):
	try:
		action()
	except BaseException:
		traceback.print_exc()
		os._exit(1)


def repeat(work):
	for _ in work():
		done[work.__name__] = done.get(work.__name__, 0) + 1
		if stopping.is_set() and work not in (sockets, queues):
			return


workers = [threading.Thread(target=guarded, args=(lambda work=work: repeat(work),)) for work in (memory, calls, sockets, queues, children)]
for worker in workers:
	worker.start()
while not select.select([sys.stdin], [], [], 0.02)[0]:
	print(json.dumps(done), flush=True)
stopping.set()
for worker in workers:
	worker.join()
print(json.dumps(done), flush=True)
