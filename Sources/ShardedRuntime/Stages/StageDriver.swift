import DiffusionModels
import Failures
import MessagePassing
import Synchronization

/// Has the passes of a replica's jobs computed by its stages: the end that asks, on the first rank of the replica.
///
/// Each branch of a job has one pass under way at a time, which bounds what every stage keeps; how many jobs there are is
/// for whoever opens them to bound.
final class StageDriver: Sendable {
    private struct State {
        var passes: [PassIdentity: Waiter<Latent>] = [:]
        /// Jobs that could not begin, and why.
        var failedJobs: [JobIdentity: Failure] = [:]
        /// When a rank last gave what was waited for.
        var lastArrival = MonotonicTime.now()
    }

    let layout: Layout
    let replica: Int
    private let post: StagePost
    private let fault: FaultSign
    private let state = Mutex(State())

    /// - Parameter fault: says when nothing can be asked any more; whoever raises it calls `fail` as well.
    init(layout: Layout, replica: Int, post: StagePost, fault: FaultSign) {
        self.layout = layout
        self.replica = replica
        self.post = post
        self.fault = fault
    }

    /// Ends all passes that are waited for.
    func fail(_ failure: Failure) {
        let passes = state.withLock { state in
            defer { state.passes = [:] }
            return state.passes
        }
        for waiter in passes.values { waiter.resume(throwing: failure) }
    }

    // MARK: Jobs

    /// Opens a job with the inputs of both branches.
    ///
    /// - Parameter closed: called when it was closed, and its room is free.
    func open(
        _ job: JobIdentity, _ inputs: [BranchInputs], closed: @escaping @Sendable () -> Void = {}
    ) -> StagePredictor {
        precondition(inputs.count == GuidanceBranch.allCases.count, "inputs for each branch")
        for branch in GuidanceBranch.allCases {
            post.send(.open(job, branch, inputs[branch.rawValue]), to: first(of: branch))
        }
        return StagePredictor(driver: self, job: job, closed: closed)
    }

    func close(_ job: JobIdentity) {
        for rank in Set(GuidanceBranch.allCases.map(first(of:))) { post.send(.close(job), to: rank) }
        state.withLock { $0.failedJobs[job] = nil }
    }

    private func first(of branch: GuidanceBranch) -> Int { layout.chain(of: branch, replica: replica)[0] }

    // MARK: Passes

    /// Sends the latent or the gradient's seed to the top of the chain, and waits for what comes back.
    ///
    /// A pass that does not come to its end is discarded, wherever it is.
    func ask(_ pass: PassIdentity, _ leg: Leg, _ settings: PassSettings, _ latent: Latent) async throws -> Latent {
        do {
            let result = try await answer(to: pass, leg) { [self] in
                post.send(.leg(pass, leg, settings, .latent(latent)), to: first(of: pass.branch))
            }
            guard result.height == latent.height, result.width == latent.width else {
                throw Failure.internalFault(
                    "a latent of \(latent.shape) came back as \(result.shape): are all ranks of one version?")
            }
            return result
        } catch {
            discard(pass)
            throw error
        }
    }

    /// Frees what a pass holds on its chain.
    func discard(_ pass: PassIdentity) { post.send(.discard(pass), to: first(of: pass.branch)) }

    private func answer(to pass: PassIdentity, _ leg: Leg, _ send: () -> Void) async throws -> Latent {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let refusal = state.withLock { state -> (any Error)? in
                    if let failure = fault.failure ?? state.failedJobs[pass.job] { return failure }
                    if Task.isCancelled { return CancellationError() }
                    let ranks = layout.ranks(of: pass.branch, replica: replica)
                    state.passes[pass] = Waiter(continuation, for: .leg(pass, leg), of: ranks)
                    return nil
                }
                if let refusal { continuation.resume(throwing: refusal) } else { send() }
            }
        } onCancel: {
            let waiter = state.withLock { $0.passes.removeValue(forKey: pass) }
            waiter?.resume(throwing: CancellationError())
        }
    }

    // MARK: Answers

    /// The passes that are waited for.
    var underWay: [PendingWait] { state.withLock { $0.passes.values.map(\.wait) } }

    /// When a rank last gave what was waited for, by this rank's clock.
    var lastArrival: Int64 { state.withLock { $0.lastArrival } }

    /// Takes what came of a pass, or why a job can't begin.
    func receive(_ message: StageMessage) {
        state.withLock { $0.lastArrival = MonotonicTime.now() }
        switch message {
        case .result(let pass, _, let latent):
            // Nobody waits for a pass that was cancelled.
            state.withLock { $0.passes.removeValue(forKey: pass) }?.resume(returning: latent)
        case .passFailed(let pass, let failure):
            state.withLock { $0.passes.removeValue(forKey: pass) }?.resume(throwing: failure)
        case .jobFailed(let job, let failure):
            let waiters = state.withLock { state in
                state.failedJobs[job] = failure
                let passes = state.passes.keys.filter { $0.job == job }
                return passes.compactMap { state.passes.removeValue(forKey: $0) }
            }
            for waiter in waiters { waiter.resume(throwing: failure) }
        default: break
        }
    }
}
