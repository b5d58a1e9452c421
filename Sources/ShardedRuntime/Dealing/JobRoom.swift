import DiffusionModels
import Failures
import Synchronization

/// The room that a job has on a replica, until it is done or left: where its sampler is to run.
public final class JobRoom: Sendable {
    private enum Use {
        case none, opened, ordered, left
    }

    private let dealer: Dealer
    private let job: JobIdentity
    private let replica: Int
    private let use = Mutex(Use.none)

    init(_ dealer: Dealer, job: JobIdentity, replica: Int) {
        self.dealer = dealer
        self.job = job
        self.replica = replica
    }

    deinit { leave() }

    /// Whether this rank is the replica's driver.
    public var isHere: Bool { replica == dealer.driver.replica }

    /// Begins a job here, with the inputs of its two branches. The room is the next one's when the predictor is closed.
    ///
    /// - Precondition: the room is here and was not used before.
    public func open(_ inputs: [BranchInputs]) -> StagePredictor {
        precondition(isHere, "another rank drives this replica")
        turn(to: .opened)
        return dealer.driver.open(job, inputs) { [dealer, replica] in dealer.admission.leave(replica) }
    }

    /// Gives the job to the replica's driver, in bytes that the `OrderTaker` there reads, and tells what is heard of it;
    /// a stream that ends without `OrderNews.done` throws, or its task was cancelled. The room is the next one's when the
    /// driver has let go of the job.
    ///
    /// - Precondition: the room is not here and was not used before.
    public func order(_ bytes: [UInt8]) -> AsyncThrowingStream<OrderNews, any Error> {
        precondition(!isHere, "this rank drives this replica")
        turn(to: .ordered)
        return dealer.orders.give(job, to: replica, bytes)
    }

    /// The job wants no more: one that is still on its way at another driver ends there.
    public func leave() {
        let last = use.withLock { use in
            defer { use = .left }
            return use
        }
        switch last {
        case .none: dealer.admission.leave(replica)
        case .ordered: dealer.orders.cancel(job)
        case .opened, .left: break
        }
    }

    private func turn(to next: Use) {
        use.withLock { use in
            guard case .none = use else { preconditionFailure("a room is for one job") }
            use = next
        }
    }
}
