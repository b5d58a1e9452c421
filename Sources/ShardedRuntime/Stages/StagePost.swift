import Failures
import MessagePassing
import Synchronization

/// Brings messages to the stage or the driver of any rank, this one included: what is for this rank is handed over as
/// it is.
final class StagePost: Sendable {
    /// Hears a message, of which rank, and when another rank sent it, by this rank's clock and as far as it is known.
    typealias Receiver = @Sendable (StageMessage, _ source: Int, _ sent: Int64?) -> Void

    private enum Channel: UInt32 {
        case stage = 0
        case driver

        var number: UInt32 { MessageTag.firstFreeChannel + rawValue }
    }

    private struct Receivers {
        var stage: Receiver?
        var driver: Receiver?
    }

    let communicator: any Communicator
    let clock: RankClock
    let recorder: TraceRecorder?
    private let receivers = Mutex(Receivers())

    init(_ communicator: any Communicator, clock: RankClock, recorder: TraceRecorder?) {
        self.communicator = communicator
        self.clock = clock
        self.recorder = recorder
    }

    var rank: Int { communicator.rank }

    func send(_ message: StageMessage, to rank: Int) {
        guard rank == communicator.rank else {
            let start = MonotonicTime.now()
            let (head, payload) = message.encoded()
            let channel = message.isForDriver ? Channel.driver : .stage
            let tag = MessageTag(channel: channel.number, number: clock.stamp(at: start))
            communicator.post(head: head, payload: payload, to: rank, tag: tag)
            recorder?.record(.sent, message, bytes: bytes(head, payload), peer: rank, from: start)
            return
        }
        let receiver = receivers.withLock { message.isForDriver ? $0.driver : $0.stage }
        receiver?(message, rank, nil)
    }

    private func bytes(_ head: [UInt8], _ payload: (any ByteRegion)?) -> Int {
        head.count + (payload?.withUnsafeBytes { $0.count } ?? 0)
    }

    /// From now on gives this rank's stage its messages, those that came before first.
    ///
    /// - Parameter fault: called for what is no message.
    func openStage(_ receiver: @escaping Receiver, fault: @escaping @Sendable (Failure) -> Void) {
        receivers.withLock { $0.stage = receiver }
        open(.stage, receiver, fault)
    }

    /// The same for this rank's driver.
    func openDriver(_ receiver: @escaping Receiver, fault: @escaping @Sendable (Failure) -> Void) {
        receivers.withLock { $0.driver = receiver }
        open(.driver, receiver, fault)
    }

    private func open(
        _ channel: Channel, _ receiver: @escaping Receiver, _ fault: @escaping @Sendable (Failure) -> Void
    ) {
        communicator.subscribe(to: channel.number) { [clock, recorder] message in
            let start = MonotonicTime.now()
            do {
                let decoded = try StageMessage(
                    decoding: message.head, payload: message.payload, from: message.source)
                recorder?.record(.received, decoded, bytes: message.byteCount, peer: message.source, from: start)
                receiver(decoded, message.source, clock.time(ofStamp: message.tag.number))
            } catch {
                fault(error as? Failure ?? .internalFault("unexpected error: \(error)"))
            }
        }
    }
}
