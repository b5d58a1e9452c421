import Failures
import MessagePassing
import Synchronization

/// Brings messages to the stage or the driver of any rank, this one included: what is for this rank is handed over as
/// it is.
final class StagePost: Sendable {
    typealias Receiver = @Sendable (StageMessage, _ source: Int) -> Void

    private enum Channel: UInt32 {
        case stage = 0
        case driver

        var number: UInt32 { MessageTag.firstFreeChannel + rawValue }
        var tag: MessageTag { MessageTag(channel: number) }
    }

    private struct Receivers {
        var stage: Receiver?
        var driver: Receiver?
    }

    let communicator: any Communicator
    private let receivers = Mutex(Receivers())

    init(_ communicator: any Communicator) { self.communicator = communicator }

    var rank: Int { communicator.rank }

    func send(_ message: StageMessage, to rank: Int) {
        guard rank == communicator.rank else {
            let (head, payload) = message.encoded()
            let channel = message.isForDriver ? Channel.driver : .stage
            communicator.post(head: head, payload: payload, to: rank, tag: channel.tag)
            return
        }
        let receiver = receivers.withLock { message.isForDriver ? $0.driver : $0.stage }
        receiver?(message, rank)
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
        communicator.subscribe(to: channel.number) { message in
            do {
                let decoded = try StageMessage(
                    decoding: message.head, payload: message.payload, from: message.source)
                receiver(decoded, message.source)
            } catch {
                fault(error as? Failure ?? .internalFault("unexpected error: \(error)"))
            }
        }
    }
}
