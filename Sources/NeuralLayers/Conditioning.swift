import Synchronization
import TensorKernels

/// What the layers of one evaluation need beside the hidden state.
///
/// A rung's inputs are members of this value, so it is what grows when an adapter adds some.
public struct Conditioning: Sendable {
    public let prompt: PromptMemory
    public let time: TimeMemory
    /// The pictures that cross-attention sees beside the prompt.
    public let images: [ImageMemory]
    /// The masks of cross- and self-attention for a whole picture of `[height, width]`, or nil where none acts.
    public let masks: @Sendable (_ height: Int, _ width: Int) -> (cross: AttentionMask?, own: AttentionMask?)

    public init(
        prompt: PromptMemory, time: TimeMemory, images: [ImageMemory] = [],
        masks: @escaping @Sendable (_ height: Int, _ width: Int) -> (cross: AttentionMask?, own: AttentionMask?)
    ) {
        self.prompt = prompt
        self.time = time
        self.images = images
        self.masks = masks
    }
}

/// Values that each layer computes once and asks for again, under the layer's name.
public final class LayerMemory<Value: Sendable>: Sendable {
    private let values = Mutex<[String: Value]>([:])

    public init() {}

    public func value(for layer: String, make: () throws -> Value) rethrows -> Value {
        if let known = values.withLock({ $0[layer] }) { return known }
        let value = try make()
        values.withLock { $0[layer] = value }
        return value
    }
}

/// A prompt's embedding, and the keys and values every cross-attention makes of it: they depend on the prompt alone,
/// so they are computed once for a job.
public final class PromptMemory: Sendable {
    /// `[tokens, width]`
    let embedding: Tensor
    let keysAndValues = LayerMemory<(keys: Tensor, values: Tensor)>()

    public init(embedding: Tensor) { self.embedding = embedding }
}

/// A timestep's embedding after its SiLU, and what every residual block makes of it: once for a timestep.
public final class TimeMemory: Sendable {
    /// `[1, width]`
    let activated: Tensor
    let shifts = LayerMemory<[Float]>()

    public init(activated: Tensor) { self.activated = activated }
}
