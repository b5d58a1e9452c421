import DiffusionModels
import Failures
import MessagePassing

/// A rank's evaluator on its compute thread, with the pullbacks that wait to be called.
final class BranchWorker: Sendable {
    private let thread: DedicatedThread
    private let bench: Workbench

    init(evaluator: any BranchEvaluator, thread: DedicatedThread) {
        self.thread = thread
        bench = Workbench(evaluator: evaluator, thread: thread)
    }

    func prepare(_ branch: GuidanceBranch, _ inputs: BranchInputs) async throws {
        try await thread.run { [bench] in try bench.evaluator.prepare(branch, inputs) }
    }

    func noise(_ evaluation: Evaluation) async throws -> Latent {
        try await thread.run { [bench] in try bench.noise(evaluation) }
    }

    func noise(_ evaluation: Evaluation, keepingPullbackAs pass: PassIdentity) async throws -> Latent {
        try await thread.run { [bench] in try bench.noise(evaluation, keepingPullbackAs: pass) }
    }

    /// Calls the pullback that was kept, once, and frees it.
    func pullback(_ pass: PassIdentity, gradient: Latent) async throws -> Latent {
        try await thread.run { [bench] in try bench.pullback(pass, gradient: gradient) }
    }

    /// Frees a pullback that will not be called, if there is one.
    func discard(_ pass: PassIdentity) {
        thread.enqueue { [bench] in bench.discard(pass) }
    }

    /// Where the time went so far, and how many pullbacks are kept.
    func account() async throws -> (times: PhaseTimes, keptPullbacks: Int) {
        try await thread.run { [bench] in (bench.times, bench.pullbackCount) }
    }
}

/// What only the compute thread touches: that is what makes it safe to share.
private final class Workbench: @unchecked Sendable {
    let evaluator: any BranchEvaluator
    private let thread: DedicatedThread
    private var pullbacks: [PassIdentity: (Latent) throws -> Latent] = [:]
    private var clock = PhaseClock()

    init(evaluator: any BranchEvaluator, thread: DedicatedThread) {
        self.evaluator = evaluator
        self.thread = thread
    }

    var times: PhaseTimes { clock.times }
    var pullbackCount: Int { pullbacks.count }

    func noise(_ evaluation: Evaluation) throws -> Latent {
        precondition(thread.isCurrent, "evaluations belong on the compute thread")
        return try clock.measure(.forward) {
            try evaluator.noise(evaluation)
        }
    }

    func noise(_ evaluation: Evaluation, keepingPullbackAs pass: PassIdentity) throws -> Latent {
        precondition(thread.isCurrent, "evaluations belong on the compute thread")
        let (noise, pullback) = try clock.measure(.forward) {
            try evaluator.noiseWithPullback(evaluation)
        }
        pullbacks[pass] = pullback
        return noise
    }

    func pullback(_ pass: PassIdentity, gradient: Latent) throws -> Latent {
        precondition(thread.isCurrent, "evaluations belong on the compute thread")
        guard let pullback = pullbacks.removeValue(forKey: pass) else {
            throw Failure.internalFault("the pullback of pass \(pass.number) is not there: called twice, or discarded")
        }
        return try clock.measure(.backward) { try pullback(gradient) }
    }

    func discard(_ pass: PassIdentity) {
        precondition(thread.isCurrent, "evaluations belong on the compute thread")
        pullbacks[pass] = nil
    }
}
