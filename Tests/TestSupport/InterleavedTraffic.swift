import Failures
import MessagePassing

/// Every rank talks to every other rank at once: a seeded mixture of channels, numbers and sizes, from no payload to
/// megabytes, of which each message must arrive whole, and in order per source and channel.
public struct InterleavedTraffic: Sendable {
    private static let channels: [UInt32] = [30, 31, 32]
    private let seed: UInt64
    private let messagesPerPair: Int
    private let largestPayload: Int

    public init(seed: UInt64, messagesPerPair: Int, largestPayload: Int) {
        self.seed = seed
        self.messagesPerPair = messagesPerPair
        self.largestPayload = largestPayload
    }

    /// This rank's part: returns the number of messages that came, all of them right.
    public func run(on communicator: any Communicator) async throws -> Int {
        let (stream, continuation) = AsyncStream.makeStream(of: Message.self)
        // One channel is subscribed to from the start, the others while messages are under way or waiting.
        communicator.subscribe(to: Self.channels[0]) { continuation.yield($0) }
        try await communicator.barrier()
        send(from: communicator)
        for channel in Self.channels.dropFirst() {
            try? await Task.sleep(for: .milliseconds(5))
            communicator.subscribe(to: channel) { continuation.yield($0) }
        }
        var counts: [Conversation: UInt64] = [:]
        var missing = messagesPerPair * (communicator.size - 1)
        for await message in stream {
            let conversation = Conversation(source: message.source, channel: message.tag.channel)
            try check(message, number: counts[conversation, default: 0])
            counts[conversation, default: 0] += 1
            missing -= 1
            if missing == 0 { break }
        }
        for channel in Self.channels { communicator.unsubscribe(from: channel) }
        try await communicator.barrier()
        return Int(counts.values.reduce(0, +))
    }

    private struct Conversation: Hashable {
        let source: Int
        let channel: UInt32
    }

    private func send(from communicator: any Communicator) {
        var random = SplitMix(state: seed &+ UInt64(communicator.rank))
        let others = (0..<communicator.size).filter { $0 != communicator.rank }
        var numbers: [Conversation: UInt64] = [:]
        var queue = others.flatMap { [Int](repeating: $0, count: messagesPerPair) }
        queue.shuffle(using: &random)
        for destination in queue {
            let channel = Self.channels[Int.random(in: 0..<Self.channels.count, using: &random)]
            let conversation = Conversation(source: destination, channel: channel)
            let number = numbers[conversation, default: 0]
            numbers[conversation] = number + 1
            let count = payloadBytes(using: &random)
            let payloadSeed = random.next()
            var writer = ByteWriter()
            writer.write(number)
            writer.write(Int64(count ?? -1))
            writer.write(payloadSeed)
            communicator.post(
                head: writer.bytes, payload: count.map { pattern(of: payloadSeed, count: $0) }, to: destination,
                tag: MessageTag(channel: channel, number: random.next() % 3))
        }
    }

    /// Mostly nothing or little, around the limits of eager sending, and now and then as much as is allowed.
    private func payloadBytes(using random: inout SplitMix) -> Int? {
        switch UInt64.random(in: 0..<100, using: &random) {
        case 0..<50: return nil
        case 50..<60: return 0
        case 60..<90: return Int.random(in: 1...min(9000, largestPayload), using: &random)
        case 90..<98: return Int.random(in: 1...min(200_000, largestPayload), using: &random)
        default: return Int.random(in: 1...largestPayload, using: &random)
        }
    }

    private func check(_ message: Message, number: UInt64) throws {
        let subject = "message \(number) of rank \(message.source) on channel \(message.tag.channel)"
        var reader = ByteReader(message.head, subject: subject)
        let (found, count, payloadSeed) = (
            try reader.read(UInt64.self), try reader.read(Int64.self), try reader.read(UInt64.self)
        )
        try reader.finish()
        guard found == number else { throw Failure.internalFault("\(subject): number \(found) came in its place") }
        guard Int64(message.payload?.count ?? -1) == count else {
            throw Failure.internalFault("\(subject): \(count) bytes sent, \(message.payload?.count ?? -1) received")
        }
        guard let payload = message.payload else { return }
        let isRight = pattern(of: payloadSeed, count: payload.count).withUnsafeBytes { expected in
            payload.withUnsafeBytes { $0.elementsEqual(expected) }
        }
        guard isRight else { throw Failure.internalFault("\(subject): its payload changed on the way") }
    }
}

/// Bytes that differ at every position and for every seed, so that a part in the wrong place is noticed.
public func pattern(of seed: UInt64, count: Int) -> [UInt8] {
    var random = SplitMix(state: seed)
    let words = (0..<(count + 7) / 8).map { _ in random.next() }
    return words.withUnsafeBytes { Array($0.prefix(count)) }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
