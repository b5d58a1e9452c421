import DiffusionModels
import Failures
import Synchronization

/// The network as one job sees it, wherever its stages are: what the method asks for noise and gradients.
///
/// Branches that are awaited together (`async let`) are computed together as far as the layout has ranks for them; the
/// numbers are the same, bit for bit, since an evaluation is a pure function.
public final class StagePredictor: Sendable {
    private struct State {
        var numbers: [GuidanceBranch: UInt32] = [:]
        /// The pass of each branch that has something on its stages.
        var underWay: [GuidanceBranch: PassIdentity] = [:]
        var isClosed = false
    }

    private let driver: StageDriver
    private let job: JobIdentity
    private let closed: @Sendable () -> Void
    private let state = Mutex(State())

    /// - Parameter closed: called when the job is over and its room is free.
    init(driver: StageDriver, job: JobIdentity, closed: @escaping @Sendable () -> Void) {
        self.driver = driver
        self.job = job
        self.closed = closed
    }

    deinit { close() }

    /// The predicted noise eps_b(z, t), same shape as the latent.
    ///
    /// - Throws: what the evaluation throws; from another rank, with that rank and its machine in the message.
    public func noise(_ evaluation: Evaluation) async throws -> Latent {
        let pass = try begin(evaluation.branch)
        defer { end(pass) }
        return try await driver.ask(pass, .down, settings(of: evaluation, isRecorded: false), evaluation.latent)
    }

    /// As `noise`, with the pullback s -> J^T s with respect to the latent, to be called once at most. Dropping it
    /// frees what it holds, on whatever rank; a branch's next evaluation begins when that is done or ordered.
    public func noiseWithPullback(
        _ evaluation: Evaluation
    ) async throws -> (noise: Latent, pullback: @Sendable (Latent) async throws -> Latent) {
        let pass = try begin(evaluation.branch)
        let settings = settings(of: evaluation, isRecorded: true)
        do {
            let noise = try await driver.ask(pass, .down, settings, evaluation.latent)
            let kept = KeptPass(pass, settings, of: self)
            return (noise, { seed in try await kept.callPullback(seed) })
        } catch {
            end(pass)
            throw error
        }
    }

    /// Ends the job: its room is the next one's. Nothing may be asked afterwards, and pullbacks that were not called are
    /// dropped.
    public func close() {
        let left = state.withLock { state -> [PassIdentity]? in
            guard !state.isClosed else { return nil }
            state.isClosed = true
            defer { state.underWay = [:] }
            return Array(state.underWay.values)
        }
        guard let left else { return }
        // Before the next job takes the room: a stage must never hold one pass too many.
        for pass in left { driver.discard(pass) }
        driver.close(job)
        closed()
    }

    private func settings(of evaluation: Evaluation, isRecorded: Bool) -> PassSettings {
        PassSettings(
            timestep: evaluation.timestep, masking: evaluation.masking, controls: evaluation.controls,
            adapters: evaluation.adapters,
            isRecorded: isRecorded)
    }

    private func begin(_ branch: GuidanceBranch) throws -> PassIdentity {
        try state.withLock { state in
            guard !state.isClosed, state.underWay[branch] == nil else {
                throw Failure.internalFault("the \(branch) branch has an evaluation under way, or its job is closed")
            }
            let number = (state.numbers[branch] ?? 0) + 1
            state.numbers[branch] = number
            let pass = PassIdentity(job: job, branch: branch, number: number)
            state.underWay[branch] = pass
            return pass
        }
    }

    private func end(_ pass: PassIdentity) {
        state.withLock { state in
            if state.underWay[pass.branch] == pass { state.underWay[pass.branch] = nil }
        }
    }

    fileprivate func pullback(_ pass: PassIdentity, _ settings: PassSettings, _ seed: Latent) async throws -> Latent {
        defer { end(pass) }
        return try await driver.ask(pass, .upGradient, settings, seed)
    }

    fileprivate func drop(_ pass: PassIdentity) {
        // The discard goes before anybody can know that the branch is free, or the next pass might overtake it.
        state.withLock { state in
            guard state.underWay[pass.branch] == pass else { return }
            driver.discard(pass)
            state.underWay[pass.branch] = nil
        }
    }
}

/// A pullback that the stages keep for as long as this lives, or until it is called.
private final class KeptPass: Sendable {
    private let pass: PassIdentity
    private let settings: PassSettings
    private let predictor: StagePredictor
    private let isUsed = Mutex(false)

    init(_ pass: PassIdentity, _ settings: PassSettings, of predictor: StagePredictor) {
        self.pass = pass
        self.settings = settings
        self.predictor = predictor
    }

    deinit {
        if !isUsed.withLock({ $0 }) { predictor.drop(pass) }
    }

    func callPullback(_ seed: Latent) async throws -> Latent {
        let isFirst = isUsed.withLock { isUsed in
            defer { isUsed = true }
            return !isUsed
        }
        precondition(isFirst, "a pullback may be called once")
        return try await predictor.pullback(pass, settings, seed)
    }
}
