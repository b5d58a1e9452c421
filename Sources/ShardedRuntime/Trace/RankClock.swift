import Failures
import Foundation
import MessagePassing
import Synchronization

/// How a rank's clock stood to rank 0's at a moment.
public struct ClockReading: Sendable, Equatable {
    /// This rank's time, in nanoseconds.
    public let time: Int64
    /// What to add to this rank's time to have rank 0's.
    public let offset: Int64
    /// How long the question was on its way, there and back: the offset is right within half of it.
    public let roundTrip: Int64

    public init(time: Int64, offset: Int64, roundTrip: Int64) {
        self.time = time
        self.offset = offset
        self.roundTrip = roundTrip
    }

    /// - Parameters:
    ///   - asked: when the question left, by this rank's clock.
    ///   - answered: when the answer came, by the same.
    ///   - reference: what rank 0's clock showed in between.
    ///   - isSameClock: whether both ranks look at one clock, as those of one machine do.
    package init(asked: Int64, answered: Int64, reference: Int64, isSameClock: Bool) {
        roundTrip = answered - asked
        time = asked + roundTrip / 2
        let measured = reference - time
        // In containers whose clocks start at other times even one machine has two.
        offset = isSameClock && abs(measured) <= roundTrip / 2 + 1 ? 0 : measured
    }
}

/// Compares this rank's clock with rank 0's, by messages there and back, and knows when rank 0 last answered.
///
/// Everything happens where messages arrive, so that a rank answers whatever it computes.
final class RankClock: Sendable {
    private static let channel = MessageTag.firstFreeChannel + 2
    /// How often rank 0 is asked for the time at the start and at the end: one of so many questions is quick.
    static let tries = 16
    private static let question = MessageTag(channel: channel, number: 0)
    private static let answer = MessageTag(channel: channel, number: 1)

    /// Questions that follow each other, the next when the last is answered.
    fileprivate struct Volley {
        var number: UInt64
        var asked: Int64
        var left: Int
        var best: ClockReading?
    }

    fileprivate struct State {
        var volley: Volley?
        var number: UInt64 = 0
        var first: ClockReading?
        var latest: ClockReading?
        /// When rank 0 last answered, or when it was first waited for.
        var heard = MonotonicTime.now()
        /// The machines of the ranks heard of.
        var hosts: [Int: String] = [:]
        var waiters: [@Sendable () -> Void] = []
    }

    private let communicator: any Communicator
    private let machine = RankClock.bootIdentity()
    private let state = Mutex(State())

    init(_ communicator: any Communicator) {
        self.communicator = communicator
        state.withLock { $0.hosts[communicator.rank] = communicator.hostName }
    }

    /// Begins to answer, and to hear answers.
    ///
    /// - Parameter fault: called for what is no message.
    func open(fault: @escaping @Sendable (Failure) -> Void) {
        communicator.subscribe(to: Self.channel) { [weak self] message in
            do {
                try self?.receive(message)
            } catch {
                fault(error as? Failure ?? .internalFault("unexpected error: \(error)"))
            }
        }
    }

    private var isReference: Bool { communicator.rank == 0 }

    /// A moment of this rank, as a message tells another rank of it: rank 0's time; 0 until that is known.
    func stamp(at time: Int64) -> UInt64 { offset.map { UInt64(bitPattern: time + $0) } ?? 0 }

    /// The moment, by this rank's clock, that a message tells of; nil where it is not known.
    func time(ofStamp stamp: UInt64) -> Int64? {
        stamp == 0 ? nil : offset.map { Int64(bitPattern: stamp) &- $0 }
    }

    private var offset: Int64? { isReference ? 0 : state.withLock { $0.latest?.offset } }

    /// The first comparison and the latest.
    var readings: [ClockReading] {
        isReference ? [] : state.withLock { [$0.first, $0.latest].compactMap { $0 } }
    }

    /// The machine of a rank; nil for one that was not heard of yet.
    func host(of rank: Int) -> String? { state.withLock { $0.hosts[rank] } }

    /// For how long rank 0 has not answered.
    var silence: Double { MonotonicTime.seconds(MonotonicTime.now() - state.withLock { $0.heard }) }

    /// Begins to wait for rank 0 anew: this process itself was stopped.
    func forgive() { state.withLock { $0.heard = MonotonicTime.now() } }

    /// Asks rank 0 for the time, `tries` times, and keeps the answer that was quickest.
    func compare(tries: Int, _ done: (@Sendable () -> Void)? = nil) {
        guard !isReference else {
            done?()
            return
        }
        let number = state.withLock { state in
            if let done { state.waiters.append(done) }
            return state.ask(left: tries - 1, best: nil)
        }
        send(number)
    }

    private func send(_ number: UInt64) {
        var writer = ByteWriter()
        writer.write(number)
        writer.write(communicator.hostName)
        communicator.post(writer.bytes, to: 0, tag: Self.question)
    }

    private func receive(_ message: Message) throws {
        let now = MonotonicTime.now()
        var reader = ByteReader(message.head, subject: "the time of rank \(message.source)")
        let number = try reader.read(UInt64.self)
        let host = try reader.readText()
        state.withLock { $0.hosts[message.source] = host }
        guard message.tag == Self.answer else {
            try reader.finish()
            return reply(number, to: message.source)
        }
        let reference = try reader.read(Int64.self)
        let isSameClock = try reader.readText() == machine && !machine.isEmpty
        try reader.finish()
        take(number, reference, isSameClock, now)
    }

    private func reply(_ number: UInt64, to rank: Int) {
        var writer = ByteWriter()
        writer.write(number)
        writer.write(communicator.hostName)
        writer.write(MonotonicTime.now())
        writer.write(machine)
        communicator.post(writer.bytes, to: rank, tag: Self.answer)
    }

    private func take(_ number: UInt64, _ reference: Int64, _ isSameClock: Bool, _ now: Int64) {
        let (next, waiters) = state.withLock { state -> (UInt64?, [@Sendable () -> Void]) in
            state.heard = now
            // An answer to a question of an earlier volley says that rank 0 is there, and no more.
            guard let volley = state.volley, volley.number == number else { return (nil, []) }
            let reading = ClockReading(
                asked: volley.asked, answered: now, reference: reference, isSameClock: isSameClock)
            let best = [volley.best, reading].compactMap { $0 }.min { $0.roundTrip < $1.roundTrip } ?? reading
            if volley.left > 0 { return (state.ask(left: volley.left - 1, best: best), []) }
            state.volley = nil
            if state.first == nil { state.first = best }
            state.latest = best
            defer { state.waiters = [] }
            return (nil, state.waiters)
        }
        if let next { send(next) }
        for waiter in waiters { waiter() }
    }

    /// Names this start of this machine.
    private static func bootIdentity() -> String {
        let text = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

extension RankClock.State {
    /// Notes that a question leaves now; returns its number.
    fileprivate mutating func ask(left: Int, best: ClockReading?) -> UInt64 {
        number += 1
        volley = RankClock.Volley(number: number, asked: MonotonicTime.now(), left: left, best: best)
        return number
    }
}
