#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sends a table of packets as a tenant, and compares what becomes of each.

    malice.py CONTROL TENANT INTERFACE command of tools/bench/malice...

Runs beside the gateway: what it lets through is seen on its interface, byte by byte; what
it drops is counted for the tenant, under the reason that the row says. The addresses are
those of malice.sh.
"""
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time

OWN4, OWN6 = "203.0.113.66", "2001:db8:beef:0:aa::66"
WORLD4, WORLD6 = "198.18.0.1", "2001:db8:ffff::1"
ETH_P_ALL = 3
PASSES = "passes"
SOURCE, LINK, ROUTE, BAD = "source-not-allowed", "link-scope", "source-route", "inner-malformed"
UDP, ICMP, IGMP, ICMP6 = 17, 1, 2, 58
HOPOPTS, ROUTING, FRAGMENT, DSTOPTS = 0, 43, 44, 60
PATIENCE = 5 * int(os.environ.get("LAB_SLOW", "1"))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def v4(src=OWN4, dst=WORLD4, proto=UDP, payload=None, options=b"", frag=0, total=None, ihl=None,
       version=4):
    if payload is None:
        payload = struct.pack("!4H", 7000, 9, 16, 0) + b"from me!"
    real = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH4s4s", version << 4 | (real if ihl is None else ihl), 0,
                       20 + len(options) + len(payload) if total is None else total, 7, frag, 64,
                       proto, 0, socket.inet_aton(src), socket.inet_aton(dst)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def v6(src=OWN6, dst=WORLD6, proto=UDP, payload=None, length=None, hops=255, version=6):
    a, b = (socket.inet_pton(socket.AF_INET6, x) for x in (src, dst))
    if payload is None:
        payload = struct.pack("!4H", 7000, 9, 16, 0) + b"from me!"
        total = checksum(a + b + struct.pack("!IBBBB", 16, 0, 0, 0, UDP) + payload)
        payload = payload[:6] + struct.pack("!H", total) + payload[8:]
    return struct.pack("!IHBB", version << 28, len(payload) if length is None else length, proto,
                       hops) + a + b + payload


def icmp6(kind, src=OWN6, dst=WORLD6, body=b"\0" * 20):
    a, b = (socket.inet_pton(socket.AF_INET6, x) for x in (src, dst))
    text = struct.pack("!BBH", kind, 0, 0) + body
    total = checksum(a + b + struct.pack("!II", len(text), ICMP6) + text)
    return text[:2] + struct.pack("!H", total) + text[4:]


def icmp4(kind, code=0, body=b"\0" * 24):
    text = struct.pack("!BBH", kind, code, 0) + body
    return text[:2] + struct.pack("!H", checksum(text)) + text[4:]


def nd(kind, src=OWN6, dst=WORLD6):
    return v6(src, dst, ICMP6, icmp6(kind, src, dst))


def extension(following, padding=4):
    return struct.pack("!BBBB", following, (padding + 4) // 8 - 1, 1, padding) + b"\0" * padding


def fragment(following, offset, more, payload):
    return v6(proto=FRAGMENT, payload=struct.pack("!BBHI", following, 0, offset | more, 7) +
              payload)


def of(fate, make, *addresses):
    return [("source %s" % a, fate, make(src=a)) for a in addresses]


def to(fate, make, *addresses):
    return [("destination %s" % a, fate, make(dst=a)) for a in addresses]


def rows():
    """(what, its fate, the packet[, what comes out of it])"""
    good4, good6 = v4(), v6()
    udp6 = good6[40:]
    return [
        ("an honest packet, IPv4", PASSES, good4),
        ("an honest packet, IPv6", PASSES, good6),
        *of(PASSES, v4, "203.0.113.64", "203.0.113.79"),
        *of(PASSES, v6, "2001:db8:beef:0:aa::", "2001:db8:beef:0:aa:ffff:ffff:ffff"),
        # ---- whose it is not: another tenant's, in his own file or inside mallory's prefix;
        # nobody's; the gateway's: uplink, management, inside mallory's prefix; the world's
        *of(SOURCE, v4, "203.0.113.10", "203.0.113.77", "203.0.113.99", "192.0.2.2", "10.77.0.1",
            "203.0.113.65", "198.18.0.1", "192.0.2.1"),
        *of(SOURCE, v6, "2001:db8:beef::b0b", "2001:db8:beef:0:aa::77", "2001:db8:beef::dead",
            "2001:db8:beef::2", "fd00:1::1", "2001:db8:beef:0:aa::1", "2001:db8:ffff::1",
            "2001:db8:beef::1"),
        # ---- nobody's at all
        *of(SOURCE, v4, "127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.1", "255.255.255.255"),
        *of(SOURCE, v6, "::", "::1", "fe80::1", "ff02::1", "ff0e::1", "::ffff:203.0.113.66",
            "::203.0.113.66"),
        # ---- where nobody routes to
        *to(LINK, v4, "127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1", "224.0.0.251",
            "255.255.255.255"),
        *to(LINK, v6, "::", "::1", "fe80::1", "ff01::1", "ff02::1", "ff02::1:ff00:1",
            "::ffff:127.0.0.1", "::127.0.0.1"),
        # ---- what is for a link: as it should be, and by an address that is mallory's
        ("router advertisement, link-local", SOURCE, nd(134, "fe80::1", "ff02::1")),
        ("router advertisement", LINK, nd(134)),
        ("router advertisement to all nodes", LINK, nd(134, dst="ff02::1")),
        ("router advertisement to the gateway", LINK, nd(134, dst="2001:db8:beef::2")),
        ("router solicitation", LINK, nd(133)),
        ("neighbour solicitation", LINK, nd(135, dst="2001:db8:beef::2")),
        ("neighbour advertisement", LINK, nd(136, dst="2001:db8:beef::2")),
        ("redirect, link-local", SOURCE, nd(137, "fe80::1", "2001:db8:beef::2")),
        ("redirect", LINK, nd(137, dst="2001:db8:beef::2")),
        ("listener report", LINK, nd(143)),
        ("redirect behind eight extension headers", LINK, v6(
            proto=HOPOPTS, payload=b"".join(extension(DSTOPTS) for _ in range(7)) +
            extension(ICMP6) + icmp6(137))),
        ("advertisement in an atomic fragment", LINK, fragment(ICMP6, 0, 0, icmp6(134))),
        ("advertisement in a first fragment", LINK, fragment(ICMP6, 0, 1, icmp6(134))),
        ("redirect, IPv4", LINK, v4(proto=ICMP, payload=icmp4(5, 1))),
        ("router advertisement, IPv4", LINK, v4(proto=ICMP, payload=icmp4(9))),
        ("IGMP", LINK, v4(dst="239.1.1.1", proto=IGMP, payload=b"\x16\0\0\0\0\0\0\0")),
        ("echo, IPv4", PASSES, v4(proto=ICMP, payload=icmp4(8))),
        ("echo, IPv6", PASSES, nd(128)),
        # ---- source routes
        ("routing header 0", ROUTE, v6(proto=ROUTING, payload=struct.pack(
            "!BBBBI", UDP, 2, 0, 1, 0) + socket.inet_pton(socket.AF_INET6, "2001:db8:beef::b0b") +
            udp6)),
        ("routing header 0 behind options", ROUTE, v6(proto=DSTOPTS, payload=extension(ROUTING) +
            struct.pack("!BBBBI", UDP, 0, 0, 0, 0) + udp6)),
        ("loose source route", ROUTE, v4(options=b"\x83\x07\x04" + socket.inet_aton("203.0.113.10") +
                                         b"\0")),
        ("strict source route", ROUTE, v4(options=b"\x01\x89\x03\x04")),
        # ---- header chains
        ("eight headers", PASSES, v6(proto=HOPOPTS, payload=b"".join(
            extension(DSTOPTS) for _ in range(7)) + extension(UDP) + udp6)),
        ("eight headers hop by hop", PASSES, v6(proto=HOPOPTS, payload=b"".join(
            extension(HOPOPTS) for _ in range(7)) + extension(UDP) + udp6)),
        ("a header longer than the packet", BAD, v6(proto=HOPOPTS, payload=b"\x3c\xff\x01\x04" +
                                                    b"\0" * 12)),
        ("a header cut short", BAD, v6(proto=DSTOPTS, payload=b"\x11\0\x01")),
        ("a header, and then none", BAD, v6(proto=HOPOPTS, payload=extension(DSTOPTS))),
        ("a jumbogram", BAD, v6(proto=HOPOPTS, length=0, payload=struct.pack(
            "!BBBBI", UDP, 0, 0xc2, 4, 70000) + udp6)),
        ("ICMPv6 without a type", BAD, v6(proto=ICMP6, payload=b"")),
        # ---- fragments: the gateway puts none together, so each is what its header says
        ("first fragment", PASSES, fragment(UDP, 0, 1, udp6)),
        ("the one behind it", PASSES, fragment(UDP, 16, 0, b"the rest")),
        ("one that overlaps both", PASSES, fragment(UDP, 8, 0, b"rewritten again.")),
        ("atomic fragment", PASSES, fragment(UDP, 0, 0, udp6)),
        ("first fragment without its chain", BAD, fragment(DSTOPTS, 0, 1, b"")),
        ("first fragment of another's", SOURCE, v6("2001:db8:beef::b0b", proto=FRAGMENT,
            payload=struct.pack("!BBHI", UDP, 0, 1, 7) + udp6)),
        ("a later one of another's", SOURCE, v6("2001:db8:beef::b0b", proto=FRAGMENT,
            payload=struct.pack("!BBHI", UDP, 0, 16, 7) + b"the rest")),
        ("first fragment, IPv4", PASSES, v4(frag=0x2000)),
        ("one that overlaps it, IPv4", PASSES, v4(frag=0x0001)),
        ("fragment of another's, IPv4", SOURCE, v4("203.0.113.10", frag=0x2000)),
        # ---- lengths and versions
        ("options", PASSES, v4(options=b"\x01\x01\x01\0")),
        ("an option of length 0", BAD, v4(options=b"\x07\0\x04\0")),
        ("an option of length 1", BAD, v4(options=b"\x07\x01\x04\0")),
        ("an option beyond the header", BAD, v4(options=b"\x07\x27\x04\0")),
        ("an option without a length", BAD, v4(options=b"\x01\x01\x01\x07")),
        ("a header of 16 bytes", BAD, v4(ihl=4)),
        ("a header beyond the packet", BAD, v4(ihl=15)),
        ("longer than it is, IPv4", BAD, v4(total=37)),
        ("longer than it is, IPv6", BAD, v6(length=17)),
        ("65,535 bytes, IPv6", BAD, v6(length=65535)),
        ("65,535 bytes, IPv4", BAD, v4(total=65535)),
        ("19 bytes, IPv4", BAD, v4(total=19)),
        ("padded, IPv4", PASSES, good4 + b"\xee" * 12, good4),
        ("padded, IPv6", PASSES, good6 + b"\xee" * 8, good6),
        *[("version %d" % n, BAD, v4(version=n)) for n in (0, 5, 15)],
        *[("version %d of IPv6" % n, BAD, v6(version=n)) for n in (0, 5, 15)],
        ("one byte", BAD, b"\x45"),
        ("still an honest one, IPv4", PASSES, good4),
        ("still an honest one, IPv6", PASSES, good6),
    ]


class Gateway:
    """What it counts and what comes out of it."""

    def __init__(self, control, tenant, interface):
        self.control = socket.socket(socket.AF_UNIX)
        self.control.connect(control)
        self.answers = self.control.makefile()
        self.tenant = tenant
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.wire.bind((interface, ETH_P_ALL))
        self.wire.setblocking(False)

    def drops(self):
        request = {"do": "show", "name": self.tenant}
        self.control.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(self.answers.readline())["tenant"]["drops"]

    def seen(self, seconds):
        """Packets that came out, within so many seconds, or that are there already."""
        out = []
        while select.select([self.wire], [], [], 0 if out else seconds)[0]:
            data, where = self.wire.recvfrom(65536)
            if where[2] != socket.PACKET_OUTGOING:
                out.append(data)
        return out

    def fate(self, before, packet):
        """What has become of the packet that was sent just now, and what else was seen."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            seen = self.seen(0.005)
            now = self.drops()
            news = {r: n - before.get(r, 0) for r, n in now.items() if n != before.get(r, 0)}
            if seen:
                return (PASSES if seen == [packet] and not news else
                        "came out: %s, dropped: %s" % ([s.hex() for s in seen], news))
            if news:
                late = self.seen(0)
                return "dropped: %s, and came out" % news if late else (
                    next(iter(news)) if list(news.values()) == [1] else "dropped: %s" % news)
        return "nothing was seen of it"


def main():
    gateway = Gateway(*sys.argv[1:4])
    sender = subprocess.Popen(sys.argv[4:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if sender.stdout.readline() != "ready\n":
        sys.exit("no session")
    wrong = count = passed = 0
    for row in rows():
        what, wanted, packet = row[:3]
        before = gateway.drops()
        gateway.seen(0)
        sender.stdin.write(packet.hex() + "\n")
        sender.stdin.flush()
        got = gateway.fate(before, row[3] if len(row) > 3 else packet)
        count += 1
        passed += got == PASSES
        if got != wanted:
            wrong += 1
            print("%d %s: %s, wanted %s" % (count, what, got, wanted))
    sender.stdin.close()
    sender.wait()
    print("%d packets, %d passed, %d not as they should" % (count, passed, wrong))
    sys.exit(bool(wrong))


main()
