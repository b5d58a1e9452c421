import Failures
import Glibc
import Synchronization

/// Ranks within this one process: the single rank of a run without MPI, or several that a test lets talk.
public final class LocalCommunicator: Communicator {
    /// One rank as the others reach it.
    private final class Place: Sendable {
        let mailbox = Mailbox()
        let traffic = Mutex(Traffic())
        let routes = Mutex<[Route: Int]>([:])
    }

    /// Where messages go, and what they are about.
    package struct Route: Hashable, Sendable {
        package let destination: Int
        package let channel: UInt32
    }

    public let rank: Int
    public let hostName: String
    private let places: [Place]

    private init(rank: Int, places: [Place]) {
        self.rank = rank
        self.places = places
        hostName = systemHostName()
    }

    /// The only rank of a job.
    public convenience init() { self.init(rank: 0, places: [Place()]) }

    /// `size` ranks that can talk to each other.
    public static func group(of size: Int) -> [LocalCommunicator] {
        let places = (0..<size).map { _ in Place() }
        return (0..<size).map { LocalCommunicator(rank: $0, places: places) }
    }

    public var size: Int { places.count }
    public var traffic: Traffic { places[rank].traffic.withLock { $0 } }
    /// How many messages this rank has sent, by where they went.
    package var sentMessages: [Route: Int] { places[rank].routes.withLock { $0 } }

    /// The payload is copied once, so that the receiver owns its bytes as it does when MPI brings them.
    public func post(head: [UInt8], payload: (any ByteRegion)?, to destination: Int, tag: MessageTag) {
        precondition(places.indices.contains(destination), "rank \(destination) of \(size) does not exist")
        let message = Message(
            source: rank, tag: tag, head: head, payload: payload.map { ReceivedBytes(copying: $0) })
        places[rank].traffic.withLock { $0.countSent(message.byteCount) }
        places[rank].routes.withLock { $0[Route(destination: destination, channel: tag.channel), default: 0] += 1 }
        places[destination].traffic.withLock { $0.countReceived(message.byteCount) }
        places[destination].mailbox.deliver(message)
    }

    public func send(head: [UInt8], payload: (any ByteRegion)?, to destination: Int, tag: MessageTag) async throws {
        post(head: head, payload: payload, to: destination, tag: tag)
    }

    public func receiveMessage(from source: Int, tag: MessageTag) async throws -> Message {
        precondition(places.indices.contains(source), "rank \(source) of \(size) does not exist")
        return try await places[rank].mailbox.receive(from: source, tag: tag)
    }

    public func dropNext(from source: Int, tag: MessageTag) {
        places[rank].mailbox.dropNext(from: source, tag: tag)
    }

    public func subscribe(to channel: UInt32, _ handler: @escaping @Sendable (Message) -> Void) {
        places[rank].mailbox.subscribe(to: channel, handler)
    }

    public func unsubscribe(from channel: UInt32) { places[rank].mailbox.unsubscribe(from: channel) }
}

/// This machine's name, as `hostname` prints it.
func systemHostName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
