import DiffusionModels
import MessagePassing
import Synchronization

/// The network as the method sees it, on rank 0: asks whichever rank the plan gives a branch to.
///
/// Branches that are awaited together (`async let`) are computed together when they are on two ranks, and one after
/// the other when they share one; the numbers are the same, bit for bit, since an evaluation is a pure function.
public final class DistributedPredictor: Sendable {
    private let communicator: any Communicator
    private let local: BranchWorker
    private let remotes: [RemoteBranchHost]
    private let hosts: [any BranchHost]
    private let numbers = NumberSequence()

    /// The driver of the ranks in `plan`. All other ranks run a `BranchServer`.
    ///
    /// - Parameters:
    ///   - evaluator: what computes rank 0's own branches, on `thread`.
    /// - Precondition: this is rank 0, and there are as many ranks as the plan has.
    public init(
        plan: Plan, communicator: any Communicator, evaluator: any BranchEvaluator, thread: DedicatedThread
    ) {
        precondition(communicator.rank == 0, "rank 0 drives the job")
        precondition(communicator.size == plan.ranks, "the plan must be for the ranks that there are")
        self.communicator = communicator
        let local = BranchWorker(evaluator: evaluator, thread: thread)
        let numbers = numbers
        let remotes = (1..<max(plan.ranks, 1)).map {
            RemoteBranchHost(communicator: communicator, rank: $0, numbers: numbers)
        }
        self.local = local
        self.remotes = remotes
        hosts = GuidanceBranch.allCases.map { branch in
            let rank = plan.rank(of: branch)
            return rank == 0 ? local : remotes[rank - 1]
        }
    }

    /// Sets what `branch` of the job works with: the prompt's embedding and the mask.
    public func prepare(_ branch: GuidanceBranch, _ inputs: BranchInputs) async throws {
        try await host(of: branch).prepare(branch, inputs)
    }

    /// The predicted noise eps_b(z, t), same shape as `latent`.
    ///
    /// - Throws: what the evaluator throws; from another rank, with that rank and its machine in the message.
    public func noise(_ evaluation: Evaluation) async throws -> Latent {
        try await host(of: evaluation.branch).noise(evaluation)
    }

    /// As `noise`, with the pullback s -> J^T s with respect to `latent`, to be called once at most. Dropping it frees
    /// what it holds, on whatever rank.
    public func noiseWithPullback(
        _ evaluation: Evaluation
    ) async throws -> (noise: Latent, pullback: @Sendable (Latent) async throws -> Latent) {
        let host = host(of: evaluation.branch)
        let pass = KeptPass(identity: PassIdentity(number: numbers.next()), host: host)
        let noise = try await host.noise(evaluation, keepingPullbackAs: pass.identity)
        return (noise, { gradient in try await pass.callPullback(gradient) })
    }

    /// What every rank did so far, in the order of the ranks.
    public func reports() async throws -> [RankReport] {
        var reports = [try await RankReport(of: communicator, local)]
        for remote in remotes { reports.append(try await remote.report()) }
        return reports
    }

    /// Lets the other ranks' servers return. Nothing may be asked afterwards.
    public func stop() {
        for remote in remotes { remote.stop() }
    }

    private func host(of branch: GuidanceBranch) -> any BranchHost { hosts[branch.rawValue] }
}

/// A pullback that a host keeps for as long as this lives, or until it is called.
private final class KeptPass: Sendable {
    let identity: PassIdentity
    private let host: any BranchHost
    private let isUsed = Mutex(false)

    init(identity: PassIdentity, host: any BranchHost) {
        self.identity = identity
        self.host = host
    }

    deinit {
        if !isUsed.withLock({ $0 }) { host.discard(identity) }
    }

    func callPullback(_ gradient: Latent) async throws -> Latent {
        let isFirst = isUsed.withLock { isUsed in
            defer { isUsed = true }
            return !isUsed
        }
        precondition(isFirst, "a pullback may be called once")
        return try await host.pullback(identity, gradient: gradient)
    }
}
