import DiffusionModels

/// What a step belongs to: one of the two stages of the method, or neither.
public enum PilotStage: String, Sendable, Codable {
    /// Latent space optimisation: t >= T (1 - gamma).
    case optimization
    /// Blending with the noised image.
    case blending
    /// Denoising alone, which is all of the algorithm `inpaint`.
    case denoising
}

/// One denoising step of a job, as planned before it starts.
public struct PilotStep: Equatable, Sendable {
    /// 0 for the first step.
    public let index: Int
    /// The number of steps of the job.
    public let count: Int
    public let timestep: Int
    public let stage: PilotStage
    /// Gradient steps on the latent before this step: K at an optimised timestep, else 0.
    public let gradientSteps: Int
    /// Which attention masks act in the denoising call.
    public let denoisingMasking: AttentionMasking
    /// Which attention masks act in the gradient steps.
    public let optimizationMasking: AttentionMasking
    /// The ControlNets that act on the conditional branch, in optimisation and in denoising.
    public let controls: ActingSet
    /// Those of them that act on the unconditional branch, too.
    public let unconditionalControls: ActingSet
    /// The T2I-Adapters that act, on both branches.
    public let adapters: ActingSet

    /// The ControlNets that act on a branch.
    public func controls(of branch: GuidanceBranch) -> ActingSet {
        branch == .conditional ? controls : unconditionalControls
    }

    public var isOptimized: Bool { gradientSteps > 0 }
}

/// How often a job evaluates the network, both branches counted.
public struct PilotWork: Equatable, Sendable {
    /// Forward passes without a pullback.
    public var forwardPasses = 0
    /// Forward passes that keep what the backward pass needs.
    public var recordedForwardPasses = 0
    /// Backward passes.
    public var backwardPasses = 0

    public init() {}

    /// The work in units of one forward pass, an input gradient costing about as much as the forward pass it follows.
    public var units: Int { forwardPasses + recordedForwardPasses + backwardPasses }

    public static func + (left: PilotWork, right: PilotWork) -> PilotWork {
        var sum = left
        sum.forwardPasses += right.forwardPasses
        sum.recordedForwardPasses += right.recordedForwardPasses
        sum.backwardPasses += right.backwardPasses
        return sum
    }
}

/// What a job will do, step by step: a pure function of its parameters, timesteps and mask.
public struct PilotPlan: Equatable, Sendable {
    public let steps: [PilotStep]
    /// Whether the loss is 0 whatever the network says: nothing is kept, and gradient steps need no network.
    public let isLossZero: Bool

    /// The self-attention mask acts from this share of T upwards.
    private static let selfAttentionThreshold = 0.6

    /// - Parameters:
    ///   - timesteps: the sampler's, falling.
    ///   - trainingTimesteps: T.
    ///   - controls: when each of the job's ControlNets acts.
    ///   - adapters: when each of its T2I-Adapters does.
    public init(
        parameters: PilotParameters, timesteps: [Int], trainingTimesteps: Int, mask: LatentMask,
        controls: [ActingTime] = [], adapters: [ActingTime] = []
    ) {
        let (isEmpty, isFull) = (mask.isEmpty, mask.isFull)
        let isPilot = parameters.algorithm == .pilot
        let total = Double(trainingTimesteps)
        isLossZero = isFull
        steps = timesteps.enumerated().map { index, timestep in
            let isOptimizing = isPilot && Double(timestep) >= total * (1 - parameters.coherence)
            let isOptimized = isOptimizing && index % parameters.optimizeEvery == 0 && !isEmpty
            let crossMask: AttentionMasking =
                isPilot && parameters.crossAttentionMask && !isFull ? .crossAttention : []
            let hasSelfMask =
                isPilot && parameters.selfAttentionMask && !isFull
                && Double(timestep) >= Self.selfAttentionThreshold * total
            func acting(_ times: [ActingTime]) -> ActingSet {
                ActingSet(times.indices.filter { times[$0].acts(at: index, of: timesteps.count) }.map(ActingSet.one))
            }
            let conditionalOnly = ActingSet(
                controls.indices.filter { controls[$0].isConditionalOnly }.map(ActingSet.one))
            return PilotStep(
                index: index, count: timesteps.count, timestep: timestep,
                stage: isOptimizing ? .optimization : isPilot ? .blending : .denoising,
                gradientSteps: isOptimized ? parameters.gradientSteps : 0,
                denoisingMasking: hasSelfMask ? crossMask.union(.selfAttention) : crossMask,
                optimizationMasking: crossMask, controls: acting(controls),
                unconditionalControls: acting(controls).subtracting(conditionalOnly), adapters: acting(adapters))
        }
    }

    /// Network evaluations of one gradient step: both branches, forward and backward.
    public var workOfGradientStep: PilotWork {
        var work = PilotWork()
        guard !isLossZero else { return work }
        work.recordedForwardPasses = GuidanceBranch.allCases.count
        work.backwardPasses = GuidanceBranch.allCases.count
        return work
    }

    /// Network evaluations of one step.
    public func work(of step: PilotStep) -> PilotWork {
        var work = PilotWork()
        work.forwardPasses = GuidanceBranch.allCases.count
        work.recordedForwardPasses = step.gradientSteps * workOfGradientStep.recordedForwardPasses
        work.backwardPasses = step.gradientSteps * workOfGradientStep.backwardPasses
        return work
    }

    /// Network evaluations of the whole job.
    public var work: PilotWork { steps.reduce(PilotWork()) { $0 + work(of: $1) } }

    /// The share of the job's work, 0...1, that is done when `gradientStepsDone` gradient steps of `step` are.
    public func fractionDone(at step: PilotStep, gradientStepsDone: Int) -> Double {
        let before = steps.prefix(step.index).reduce(PilotWork()) { $0 + work(of: $1) }
        let done = before.units + gradientStepsDone * workOfGradientStep.units
        return Double(done) / Double(max(1, work.units))
    }
}
