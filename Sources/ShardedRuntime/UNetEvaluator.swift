import DiffusionModels
import Failures
import NeuralLayers
import Synchronization
import TensorKernels

/// Evaluates guidance branches of one job on this rank, with a whole UNet.
public final class UNetEvaluator: BranchEvaluator {
    private let unet: UNet
    private let context: ComputeContext
    private let state = Mutex(State())

    private struct State {
        var branches: [GuidanceBranch: Branch] = [:]
        /// Of the timestep asked for last; both branches and all gradient steps of a timestep share it.
        var time: (timestep: Int, memory: TimeMemory)?
    }

    private struct Branch {
        let prompt: PromptMemory
        let masks: MaskPyramid
    }

    /// - Parameter context: what this rank computes with; `noise` and the pullbacks run on the one thread it is for.
    public init(unet: UNet, context: ComputeContext) {
        self.unet = unet
        self.context = context
    }

    public func prepare(_ branch: GuidanceBranch, _ inputs: BranchInputs) throws {
        let width = unet.configuration.crossAttentionDimension
        guard inputs.width == width else {
            throw Failure.badData(
                "the text encoder's states are \(inputs.width) wide, the UNet's cross-attention expects \(width): "
                    + "text_encoder/config.json hidden_size and unet/config.json cross_attention_dim must agree")
        }
        let embedding = Tensor(inputs.embedding, shape: [inputs.tokens, inputs.width], in: context)
        let prepared = Branch(prompt: PromptMemory(embedding: embedding), masks: MaskPyramid(mask: inputs.mask))
        state.withLock { $0.branches[branch] = prepared }
    }

    public func noise(_ evaluation: Evaluation) throws -> Latent {
        latent(try unet(tensor(evaluation.latent), try conditioning(evaluation), in: context))
    }

    public func noiseWithPullback(
        _ evaluation: Evaluation
    ) throws -> (noise: Latent, pullback: (Latent) throws -> Latent) {
        let (output, pullback) = try unet.withPullback(
            tensor(evaluation.latent), try conditioning(evaluation), in: context)
        return (self.latent(output), { [self] seed in self.latent(try pullback(tensor(seed))) })
    }

    private func conditioning(_ evaluation: Evaluation) throws -> Conditioning {
        guard let prepared = state.withLock({ $0.branches[evaluation.branch] }) else {
            throw Failure.internalFault("the \(evaluation.branch) branch was evaluated before it was prepared")
        }
        let time = try timeMemory(evaluation.timestep)
        let masking = evaluation.masking
        return Conditioning(
            prompt: prepared.prompt, time: time,
            masks: { prepared.masks.masks(masking, height: $0, width: $1) })
    }

    private func timeMemory(_ timestep: Int) throws -> TimeMemory {
        if let known = state.withLock({ $0.time }), known.timestep == timestep { return known.memory }
        let memory = try unet.timeMemory(timestep: timestep, in: context)
        state.withLock { $0.time = (timestep, memory) }
        return memory
    }

    private func tensor(_ latent: Latent) -> Tensor {
        Tensor(
            planes: latent.values, channels: latent.channels, height: latent.height, width: latent.width,
            in: context.with(elementType: .float32))
    }

    private func latent(_ tensor: Tensor) -> Latent {
        Latent(channels: tensor.columns, height: tensor.shape[0], width: tensor.shape[1], values: tensor.planes)
    }
}
