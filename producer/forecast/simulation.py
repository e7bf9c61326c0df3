"""Simulates how lanes serve mailboxes under limits, from event to event. Pure.

Work is measured in seconds of one lane. Mailboxes of one wave, priority, pair of hosts and cap form a group, and each
gets the same share of the lanes at any moment, as fair queueing gives it over a few slices. So a group needs one number,
how much each of its members was served, and a heap of the numbers at which members are done or have spent their day. A
step costs as much as there are groups, whatever the number of mailboxes.

What is simulated: lanes; connections of accounts and hosts; bytes and messages a second; bytes a day; hours; the waves'
starts, orders and weights; priorities. A message of any size passes, as in `shared.model.rates`; here a day ends exactly with
its bytes.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from itertools import groupby
from typing import Final, TypeVar

from producer.forecast.loads import SCOPES, ForecastLimits, ForecastLine, Load
from shared.model.rates import DAY_SECONDS, RATES
from shared.nouns import dataclass

#: Seconds after which a forecast names no end.
FOREVER: Final = 10 * 365 * DAY_SECONDS
#: Steps grow with the time that is over, by this part of it: what is long ahead need not be exact to the second.
_GRAIN: Final = 0.004
#: Caps that differ by less than this factor count as one.
_LIKE: Final = 2 ** (1 / 8)
_TINY: Final = 1e-9
#: Mailboxes that are entered between two rests.
_PIECE: Final = 50
#: Called after each short piece of work, a millisecond or so: lets others have their turn.
Rest = Callable[[], None]
_K = TypeVar("_K")


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """The moments at which mailboxes are done."""

    #: Mailbox → seconds from the beginning until it is done; infinite where nothing goes on.
    ends: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """The seconds until the last mailbox is done; infinite where one never is, 0 without any."""
        return max(self.ends.values(), default=0.0)

    @property
    def known(self) -> float:
        """The seconds until the last one is done of those that have an end."""
        return max((end for end in self.ends.values() if math.isfinite(end)), default=0.0)


@dataclass(slots=True)
class _Member:
    """A mailbox in the simulation."""

    load: Load
    #: Lane-seconds that are left.
    cost: float
    #: Bytes and messages of one lane-second.
    density: float
    pace: float
    #: Bytes a day that its accounts allow; infinite without a cap.
    daily: float
    #: The logarithm of the most lanes that it can use; like caps are one group. None where it can use none.
    like: int | None = None
    #: The service that its group had got when it joined.
    joined: float = 0.0


@dataclass(slots=True)
class _Group:
    """Mailboxes that are served alike."""

    line: str
    priority: int
    hosts: tuple[str, str]
    #: The most lanes that one of them can use.
    cap: float
    served: float = 0.0
    #: Amount served → the moment when more than that was served for the first time, seconds.
    passed: dict[float, float] = field(default_factory=dict)
    #: (how much was served when something happens, number, member).
    heap: list[tuple[float, int, _Member]] = field(default_factory=list)
    density: float = 0.0
    pace: float = 0.0
    #: Lanes that all of them have together now.
    lanes: float = 0.0


def no_rest() -> None:
    """Lets nobody have a turn."""


def simulated(loads: Iterable[Load], limits: ForecastLimits, now: float = 0.0, rest: Rest = no_rest) -> Forecast:
    """Returns the forecast from `now` on, seconds since the epoch."""
    return _Run(loads, limits, now, rest).ends()


class _Run:
    def __init__(self, loads: Iterable[Load], limits: ForecastLimits, now: float, rest: Rest) -> None:
        self._limits, self._now, self._at, self._rest = limits, now, 0.0, rest
        self._groups: dict[tuple[object, ...], _Group] = {}
        self._later: list[tuple[float, int, _Member]] = []
        self._ends: dict[str, float] = {}
        self._number = 0
        self._hosts: dict[str, _Host] = {}
        # Where nothing is capped, nothing is looked up for each mailbox.
        names = {name.partition(":")[0] for some in (limits.given, limits.usual, limits.default) for name in some}
        self._capped = {(SCOPES[at], rate, at) for at in range(4) for rate in RATES if f"{SCOPES[at]}.{rate}" in names}
        for at, load in enumerate(loads):
            self._enter(load)
            if at % _PIECE == 0:
                rest()

    def _enter(self, load: Load) -> None:
        speed = self._limits.speed
        work = max(load.messages / speed.messages, load.size_bytes / speed.size_bytes)
        cost = load.fresh * speed.mailbox_seconds + work
        self._ends[load.name] = math.inf
        if cost <= _TINY:
            self._ends[load.name] = 0.0
            return
        daily = min(self._rates(load, "bytes_per_day", "_account"), default=math.inf)
        member = _Member(
            load=load,
            cost=cost,
            density=load.size_bytes / cost,
            pace=load.messages / cost,
            daily=daily,
        )
        cap = self._cap(member)
        member.like = round(math.log(cap, _LIKE)) if cap > 0 else None
        for side in (1, 3):
            name = f"{SCOPES[side]}:{load.keys[side]}"
            if name not in self._hosts:
                self._hosts[name] = _Host(self._limits, SCOPES[side], load.keys[side])
        if load.ready_in > 0:
            heapq.heappush(self._later, (load.ready_in, self._next(), member))
        else:
            self._join(member)

    def _rates(self, load: Load, rate: str, end: str) -> list[int]:
        capped = [(scope, at) for scope, name, at in self._capped if name == rate and scope.endswith(end)]
        found = [self._limits.rate(scope, rate, load.keys[at]) for scope, at in capped]
        return [most for most in found if most]

    def _cap(self, member: _Member) -> float:
        load, cap = member.load, float(max(1, member.load.lanes))
        for at in (0, 2):
            cap = min(cap, self._limits.connections(SCOPES[at], load.keys[at]))
        for rate, amount in (("bytes_per_second", member.density), ("messages_per_second", member.pace)):
            for most in self._rates(load, rate, "_account") if amount > _TINY else ():
                cap = min(cap, most / amount)
        return cap

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _join(self, member: _Member) -> None:
        load, like = member.load, member.like
        if like is None:
            return
        hosts = (f"{SCOPES[1]}:{load.keys[1]}", f"{SCOPES[3]}:{load.keys[3]}")
        key = (load.line, load.priority, hosts, like)
        group = self._groups.get(key)
        if group is None:
            group = _Group(line=load.line, priority=load.priority, hosts=hosts, cap=_LIKE**like)
            self._groups[key] = group
        member.joined = group.served
        lasts = member.daily / member.density if member.density > _TINY else math.inf
        heapq.heappush(group.heap, (group.served + min(member.cost, lasts), self._next(), member))
        group.density += member.density
        group.pace += member.pace

    def ends(self) -> Forecast:
        while (self._later or any(group.heap for group in self._groups.values())) and self._at < FOREVER:
            self._groups = {key: group for key, group in self._groups.items() if group.heap}
            allowed, change = self._allowed()
            self._share(allowed)
            step = self._step(allowed, change)
            if not math.isfinite(step):
                break
            self._advance(allowed, step)
            self._rest()
        return Forecast(ends=self._ends)

    # -- who may work, and until when that is so

    def _allowed(self) -> tuple[list[_Group], float]:
        """Returns the groups that may work now, and in how many seconds that changes by the clock."""
        moment, change = self._now + self._at, math.inf
        lines: dict[str, bool] = {}
        if self._limits.paused:
            return [], math.inf
        names = {group.line for group in self._groups.values()} | {one.load.line for _, _, one in self._later}
        for name in names:
            line = self._limits.lines.get(name, ForecastLine())
            may = not line.paused
            if line.starts_at > moment:
                may, change = False, min(change, line.starts_at - moment)
            for hours in (self._limits.hours, line.hours):
                if hours.parts:
                    span = hours.span(moment)
                    opened = span.opens_at <= moment
                    may = may and opened
                    change = min(change, (span.shuts_at if opened else span.opens_at) - moment)
            lines[name] = may
        allowed = []
        for group in self._groups.values():
            away = [until for host in group.hosts if (until := self._hosts[host].shut_until) > self._at]
            change = min([change, *(until - self._at for until in away)])
            if lines[group.line] and not away:
                allowed.append(group)
        return allowed, change

    # -- how lanes are shared

    def _share(self, allowed: Sequence[_Group]) -> None:
        """Gives each group its lanes: by order, by weight, by priority, and each mailbox alike; within the hosts' limits."""
        for group in self._groups.values():
            group.lanes = 0.0
        left = float(self._limits.lanes)
        free = {host: float(found.connections) for host, found in self._hosts.items()}

        def order(group: _Group) -> int:
            return self._limits.lines.get(group.line, ForecastLine()).order

        for _, some in groupby(sorted(allowed, key=order), order):
            by_line: dict[str, list[_Group]] = defaultdict(list)
            for group in some:
                by_line[group.line].append(group)
            wanted = {name: sum(len(g.heap) * g.cap for g in groups) for name, groups in by_line.items()}
            weights = {name: self._limits.lines.get(name, ForecastLine()).weight for name in by_line}
            for name, lanes in _filled(wanted, weights, left).items():
                left -= self._share_line(by_line[name], lanes, free)
        self._slow_down(allowed)

    def _share_line(self, groups: Sequence[_Group], lanes: float, free: dict[str, float]) -> float:
        """Gives a line's lanes to its groups. Returns how many are in use."""
        used = 0.0
        for _, some in groupby(sorted(groups, key=lambda g: -g.priority), lambda g: g.priority):
            equal = dict(enumerate(some))
            wanted = {at: len(group.heap) * group.cap for at, group in equal.items()}
            given = _filled(wanted, {at: len(group.heap) for at, group in equal.items()}, max(0.0, lanes - used))
            for at, group in sorted(equal.items(), key=lambda pair: pair[1].cap):
                room = min(given[at], *(free[host] for host in group.hosts))
                group.lanes = max(0.0, room)
                used += group.lanes
                for host in set(group.hosts):
                    free[host] -= group.lanes
        return used

    def _slow_down(self, allowed: Sequence[_Group]) -> None:
        """Slows groups down where a host's rate, or what all lanes together move, is exceeded."""
        total = sum(_flow(group) for group in allowed)
        if total > self._limits.speed.together:
            for group in allowed:
                group.lanes *= self._limits.speed.together / total
        for name, host in self._hosts.items():
            here = [group for group in allowed if name in group.hosts]
            factor = 1.0
            if host.bytes_per_second and (flow := sum(map(_flow, here))) > host.bytes_per_second:
                factor = host.bytes_per_second / flow
            if host.messages_per_second and (flow := sum(map(_beat, here))) > host.messages_per_second:
                factor = min(factor, host.messages_per_second / flow)
            for group in here if factor < 1 else ():
                group.lanes *= factor

    # -- time

    def _step(self, allowed: Sequence[_Group], change: float) -> float:
        """Returns the seconds until something changes."""
        soonest = self._later[0][0] - self._at if self._later else math.inf
        for group in allowed:
            if group.lanes > _TINY:
                soonest = min(soonest, (group.heap[0][0] - group.served) * len(group.heap) / group.lanes)
        step = max(soonest, self._at * _GRAIN) if math.isfinite(soonest) else soonest
        for name, host in self._hosts.items():
            if math.isfinite(host.left_today):
                flow = sum(_flow(group) for group in allowed if name in group.hosts)
                change = min(change, host.left_today / flow) if flow > _TINY else change
        return max(min(step, change), 1e-6)

    def _advance(self, allowed: Sequence[_Group], step: float) -> None:
        began, self._at = self._at, self._at + step
        for name, host in self._hosts.items():
            host.moved(sum(_flow(group) for group in allowed if name in group.hosts) * step, began, self._at)
        for group in allowed:
            pace = group.lanes / len(group.heap)
            before, group.served = group.served, group.served + pace * step
            if group.served > before:
                group.passed.setdefault(before, began)
            while group.heap and group.heap[0][0] <= group.served + _TINY:
                due, _, member = heapq.heappop(group.heap)
                group.density, group.pace = group.density - member.density, group.pace - member.pace
                self._leave(member, due, began + (due - before) / max(pace, _TINY), group.passed)
        while self._later and self._later[0][0] <= self._at + _TINY:
            self._join(heapq.heappop(self._later)[2])

    def _leave(self, member: _Member, due: float, at: float, passed: Mapping[float, float]) -> None:
        """Takes a member out that is done, or has spent its day: then it comes back when that is over."""
        member.cost -= due - member.joined
        if member.cost <= max(_TINY, 1e-9 * due):
            self._ends[member.load.name] = at
            return
        # The day began with its first byte, for which it may have waited since it came.
        back = max(passed.get(member.joined, at) + DAY_SECONDS, at)
        heapq.heappush(self._later, (back, self._next(), member))


class _Host:
    """A host's limits, and what it moved today."""

    def __init__(self, limits: ForecastLimits, scope: str, key: str) -> None:
        self.connections = limits.connections(scope, key)
        self.bytes_per_second = limits.rate(scope, "bytes_per_second", key)
        self.messages_per_second = limits.rate(scope, "messages_per_second", key)
        self._daily = limits.rate(scope, "bytes_per_day", key) or math.inf
        self.left_today = self._daily
        self.shut_until = 0.0
        self._began: float | None = None

    def moved(self, size_bytes: float, began: float, at: float) -> None:
        """Counts bytes. Shuts the host for the rest of its day once they are all that is allowed."""
        if not math.isfinite(self._daily):
            return
        if self._began is not None and at >= self._began + DAY_SECONDS:
            self._began, self.left_today = None, self._daily
        if size_bytes > 0:
            self._began = began if self._began is None else self._began
            self.left_today -= size_bytes
            if self.left_today <= 1e-6 * self._daily:
                self.shut_until, self.left_today, self._began = self._began + DAY_SECONDS, self._daily, None


def _flow(group: _Group) -> float:
    """Returns the bytes a second of a group."""
    return group.lanes * group.density / max(1, len(group.heap))


def _beat(group: _Group) -> float:
    """Returns the messages a second of a group."""
    return group.lanes * group.pace / max(1, len(group.heap))


def _filled(wanted: Mapping[_K, float], weights: Mapping[_K, float], most: float) -> dict[_K, float]:
    """Shares `most` by weight; what one does not want goes to the others."""
    given: dict[_K, float] = {}
    open_ = dict(wanted)
    while open_:
        unit = max(0.0, most) / sum(weights[key] for key in open_)
        content = {key: want for key, want in open_.items() if want <= unit * weights[key] + _TINY}
        if not content:
            return given | {key: unit * weights[key] for key in open_}
        given |= content
        most -= sum(content.values())
        open_ = {key: want for key, want in open_.items() if key not in content}
    return given
