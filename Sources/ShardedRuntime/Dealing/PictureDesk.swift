import Failures
import Synchronization

/// Has the networks around the UNet run, on whichever replica has the least to do.
final class PictureDesk: Sendable {
    private let layout: Layout
    private let post: StagePost
    private let fault: FaultSign
    /// How many jobs each replica has.
    private let openJobs: @Sendable () -> [Int]
    private let waiters = Mutex<[PictureRequest: Waiter<PictureValue>]>([:])

    init(layout: Layout, post: StagePost, fault: FaultSign, openJobs: @escaping @Sendable () -> [Int]) {
        self.layout = layout
        self.post = post
        self.fault = fault
        self.openJobs = openJobs
    }

    var underWay: [PendingWait] { waiters.withLock { $0.values.map(\.wait) } }

    func work(_ request: PictureRequest, _ input: PictureValue) async throws -> PictureValue {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let openJobs = openJobs()
                let admission = waiters.withLock { waiters -> Result<Int, any Error> in
                    if let failure = fault.failure { return .failure(failure) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    let replica = leastLoaded(waiters, openJobs)
                    waiters[request] = Waiter(
                        continuation, for: request.task, of: layout.pictureTeam(of: replica))
                    return .success(layout.pictureRanks[replica])
                }
                switch admission {
                case .success(let rank): post.send(.picture(request, input), to: rank)
                case .failure(let refusal): continuation.resume(throwing: refusal)
                }
            }
        } onCancel: {
            take(request)?.resume(throwing: CancellationError())
        }
    }

    /// The replica whose rank for pictures has the fewest of them and, as far as can be told from here, the fewest passes.
    private func leastLoaded(_ waiters: [PictureRequest: Waiter<PictureValue>], _ openJobs: [Int]) -> Int {
        let ranks = layout.pictureRanks
        var loads = openJobs.map { $0 * layout.passesOfJob }
        for waiter in waiters.values {
            for replica in loads.indices where waiter.wait.ranks.contains(ranks[replica]) { loads[replica] += 1 }
        }
        return loads.indices.min { (loads[$0], $0) < (loads[$1], $1) } ?? 0
    }

    func done(_ request: PictureRequest, _ value: PictureValue) { take(request)?.resume(returning: value) }

    func failed(_ request: PictureRequest, _ failure: Failure) { take(request)?.resume(throwing: failure) }

    func fail(_ failure: Failure) {
        let all = waiters.withLock { waiters in
            defer { waiters = [:] }
            return waiters
        }
        for waiter in all.values { waiter.resume(throwing: failure) }
    }

    /// Nobody waits for work that was cancelled.
    private func take(_ request: PictureRequest) -> Waiter<PictureValue>? {
        waiters.withLock { $0.removeValue(forKey: request) }
    }
}
