import Failures
import Glibc
import Synchronization

/// Ranks within this one process: the single rank of a run without MPI, or several that a test lets talk.
public final class LocalCommunicator: Communicator {
    public let rank: Int
    public let hostName: String
    private let mailboxes: [Mailbox]
    private let counter = Mutex(Traffic())

    private init(rank: Int, mailboxes: [Mailbox]) {
        self.rank = rank
        self.mailboxes = mailboxes
        hostName = systemHostName()
    }

    /// The only rank of a job.
    public convenience init() { self.init(rank: 0, mailboxes: [Mailbox()]) }

    /// `size` ranks that can talk to each other.
    public static func group(of size: Int) -> [LocalCommunicator] {
        let mailboxes = (0..<size).map { _ in Mailbox() }
        return (0..<size).map { LocalCommunicator(rank: $0, mailboxes: mailboxes) }
    }

    public var size: Int { mailboxes.count }
    public var traffic: Traffic { counter.withLock { $0 } }

    public func post(_ bytes: [UInt8], to destination: Int, tag: MessageTag) {
        precondition(mailboxes.indices.contains(destination), "rank \(destination) of \(size) does not exist")
        counter.withLock { $0.countSent(bytes.count) }
        mailboxes[destination].deliver(bytes, from: rank, tag: tag)
    }

    public func send(_ bytes: [UInt8], to destination: Int, tag: MessageTag) async throws {
        post(bytes, to: destination, tag: tag)
    }

    public func receive(from source: Int, tag: MessageTag) async throws -> [UInt8] {
        precondition(mailboxes.indices.contains(source), "rank \(source) of \(size) does not exist")
        let bytes = try await mailboxes[rank].receive(from: source, tag: tag)
        counter.withLock { $0.countReceived(bytes.count) }
        return bytes
    }

    public func dropNext(from source: Int, tag: MessageTag) {
        mailboxes[rank].dropNext(from: source, tag: tag)
    }
}

/// This machine's name, as `hostname` prints it.
func systemHostName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
