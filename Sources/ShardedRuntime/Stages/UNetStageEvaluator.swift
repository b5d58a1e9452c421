import DiffusionModels
import Failures
import NeuralLayers
import Synchronization
import TensorKernels

/// A stage of the UNet, for any number of jobs at once.
public final class UNetStageEvaluator: StageEvaluator {
    private let stage: UNetStage
    private let context: ComputeContext
    private let state = Mutex(State())

    private struct State {
        var branches: [JobIdentity: [GuidanceBranch: Branch]] = [:]
        var times = RecentTimes()
    }

    private struct Branch {
        let prompt: PromptMemory
        let masks: MaskPyramid
        /// Of `BranchInputs`; on the first stage alone, which has the latent.
        let planesBehindLatent: [Float]
    }

    /// - Parameter context: what this rank computes with.
    public init(_ stage: UNetStage, context: ComputeContext) {
        self.stage = stage
        self.context = context
    }

    public var isLast: Bool { stage.isLast }

    public func open(_ job: JobIdentity, _ branch: GuidanceBranch, _ inputs: BranchInputs) throws {
        let width = stage.configuration.crossAttentionDimension
        guard inputs.width == width else {
            throw Failure.badData(
                "the text encoder's states are \(inputs.width) wide, the UNet's cross-attention expects \(width): "
                    + "text_encoder/config.json hidden_size and unet/config.json cross_attention_dim must agree")
        }
        guard stage.configuration.takesMaskedImage == (inputs.maskedImageLatent != nil) else {
            throw Failure.internalFault(
                "the UNet takes \(stage.configuration.inputChannels) channels, and job \(job.number) has "
                    + "\(inputs.maskedImageLatent == nil ? "no" : "a") masked image for it")
        }
        let embedding = Tensor(inputs.embedding, shape: [inputs.tokens, inputs.width], in: context)
        let prepared = Branch(
            prompt: PromptMemory(embedding: embedding), masks: MaskPyramid(mask: inputs.mask),
            planesBehindLatent: stage.isFirst ? inputs.planesBehindLatent : [])
        state.withLock { $0.branches[job, default: [:]][branch] = prepared }
    }

    public func close(_ job: JobIdentity) { state.withLock { $0.branches[job] = nil } }

    public func begin(_ pass: PassIdentity, _ settings: PassSettings) throws -> any StageComputation {
        guard let branch = state.withLock({ $0.branches[pass.job]?[pass.branch] }) else {
            throw Failure.internalFault("the \(pass.branch) branch of job \(pass.job.number) is not open")
        }
        let masks = branch.masks
        let conditioning = Conditioning(
            prompt: branch.prompt, time: try timeMemory(settings.timestep),
            masks: { masks.masks(settings.masking, height: $0, width: $1) })
        return UNetStageComputation(
            pass: StagePass(of: stage, conditioning, isRecorded: settings.isRecorded, in: context), stage: stage,
            planesBehindLatent: branch.planesBehindLatent, context: context)
    }

    private func timeMemory(_ timestep: Int) throws -> TimeMemory {
        if let known = state.withLock({ $0.times.memory(of: timestep) }) { return known }
        let memory = try stage.timeMemory(timestep: timestep, in: context)
        state.withLock { $0.times.keep(memory, of: timestep) }
        return memory
    }
}

/// What is known of the timesteps asked for lately: both branches and all gradient steps of a timestep share it, and
/// the jobs under way are at timesteps of their own.
private struct RecentTimes {
    private static let limit = 32
    private var memories: [(timestep: Int, memory: TimeMemory)] = []

    func memory(of timestep: Int) -> TimeMemory? { memories.first { $0.timestep == timestep }?.memory }

    mutating func keep(_ memory: TimeMemory, of timestep: Int) {
        if memories.count == Self.limit { memories.removeFirst() }
        memories.append((timestep, memory))
    }
}

private final class UNetStageComputation: StageComputation {
    private let pass: StagePass
    private let stage: UNetStage
    private let planesBehindLatent: [Float]
    private let context: ComputeContext

    init(pass: StagePass, stage: UNetStage, planesBehindLatent: [Float], context: ComputeContext) {
        self.pass = pass
        self.stage = stage
        self.planesBehindLatent = planesBehindLatent
        self.context = context
    }

    func run(_ leg: Leg, _ input: StageValue) throws -> StageValue {
        let x = tensor(input, for: leg)
        let y =
            switch leg {
            case .down: stage.isLast ? try pass.up(pass.down(x)) : try pass.down(x)
            case .up: try pass.up(x)
            case .upGradient: stage.isLast ? try pass.downGradient(pass.upGradient(x)) : try pass.upGradient(x)
            case .downGradient: try pass.downGradient(x)
            }
        return value(y, of: leg)
    }

    /// A latent that goes into the network takes with it what is behind it; the gradient of the output is alone.
    private func tensor(_ value: StageValue, for leg: Leg) -> Tensor {
        switch value {
        case .hidden(let tensor): return tensor
        case .latent(let latent):
            let behind = leg == .down ? planesBehindLatent : []
            return Tensor(
                planes: latent.values + behind, channels: latent.channels + behind.count / latent.planeCount,
                height: latent.height, width: latent.width, in: context.with(elementType: .float32))
        }
    }

    /// What leaves the ladder at its top is a latent: the network's output, or the gradient of z alone.
    private func value(_ tensor: Tensor, of leg: Leg) -> StageValue {
        let goesUp = leg == .up || leg == .downGradient || stage.isLast
        guard stage.isFirst && goesUp else { return .hidden(tensor) }
        let (channels, height, width) = (stage.configuration.outputChannels, tensor.shape[0], tensor.shape[1])
        return .latent(
            Latent(
                channels: channels, height: height, width: width,
                values: Array(tensor.planes.prefix(channels * height * width))))
    }
}
