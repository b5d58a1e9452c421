import DiffusionModels
import TensorKernels

/// What goes from task to task: latents at the ladder's top, hidden states and their gradients between stages.
public enum StageValue: Sendable {
    /// A latent, a noise prediction, or a gradient of either, channels first.
    case latent(Latent)
    /// A hidden state or its gradient `[h, w, channels]`.
    case hidden(Tensor)
}

/// What an evaluation asks beside its latent: enough for every stage below the first.
public struct PassSettings: Sendable, Equatable {
    public let timestep: Int
    public let masking: AttentionMasking
    /// Which of the job's ControlNets act.
    public let controls: ActingSet
    /// Which of its T2I-Adapters.
    public let adapters: ActingSet
    /// Whether a gradient will be asked for.
    public let isRecorded: Bool

    public init(
        timestep: Int, masking: AttentionMasking, controls: ActingSet = [], adapters: ActingSet = [], isRecorded: Bool
    ) {
        self.timestep = timestep
        self.masking = masking
        self.controls = controls
        self.adapters = adapters
        self.isRecorded = isRecorded
    }
}

/// What computes on a rank: a stage of the network.
///
/// All calls come from the rank's one compute thread, one at a time. Equal arguments must give equal bits on whatever
/// rank: then every layout gives the same picture.
public protocol StageEvaluator: Sendable {
    /// Whether the way down turns round here.
    var isLast: Bool { get }
    /// What the stage below is told of a branch: what only this one and those above need is left out.
    func passedOn(_ inputs: BranchInputs) -> BranchInputs
    /// Sets what a branch of a job works with, and computes what depends on it alone.
    func open(_ job: JobIdentity, _ branch: GuidanceBranch, _ inputs: BranchInputs) throws
    /// Does what would delay a first pass with these inputs, for all jobs of their size at once.
    func prepare(for inputs: BranchInputs) throws
    /// Forgets the job.
    func close(_ job: JobIdentity)
    /// Starts a pass of a branch that is open. Releasing what it returns frees what the pass holds.
    func begin(_ pass: PassIdentity, _ settings: PassSettings) throws -> any StageComputation
}

extension StageEvaluator {
    public func passedOn(_ inputs: BranchInputs) -> BranchInputs { inputs.belowFirstStage }
    public func prepare(for inputs: BranchInputs) throws {}
}

/// A pass on its way through a stage.
public protocol StageComputation: AnyObject {
    /// Does the next leg, each once and in order; on the last stage a leg down goes on up.
    func run(_ leg: Leg, _ input: StageValue) throws -> StageValue
}
