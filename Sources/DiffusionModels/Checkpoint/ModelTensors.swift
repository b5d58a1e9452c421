import NeuralLayers
import TensorKernels

/// The tensors of the three networks, as `RecordingWeights` finds them: names and shapes are those that layers ask for.
public struct ModelTensors: Sendable {
    public let unet: [TensorRequest]
    public let vae: [TensorRequest]
    public let textEncoder: [TensorRequest]

    public init(unet: [TensorRequest], vae: [TensorRequest], textEncoder: [TensorRequest]) {
        self.unet = unet
        self.vae = vae
        self.textEncoder = textEncoder
    }

    /// What the networks ask for when they are built.
    public init(unet: UNetConfiguration, vae: VAEConfiguration, textEncoder: TextEncoderConfiguration) {
        func requests(_ build: (RecordingWeights) -> Void) -> [TensorRequest] {
            let weights = RecordingWeights()
            build(weights)
            return weights.requests
        }
        self.init(
            unet: requests { _ = UNetStage(unet, weights: $0) },
            vae: requests { _ = Autoencoder(vae, weights: $0) },
            textEncoder: requests { _ = TextEncoder(textEncoder, weights: $0) })
    }

    public subscript(component: ModelFolder.Component) -> [TensorRequest] {
        switch component {
        case .unet: unet
        case .vae: vae
        case .textEncoder: textEncoder
        }
    }
}

extension TensorRequest {
    /// The shape in a file. Layers ask for a 1x1 convolution's kernel as a matrix; others read it only with its four
    /// dimensions.
    ///
    /// - Parameters:
    ///   - usesLinearProjection: whether the projections around a UNet's transformers are matrices.
    ///   - isLDM: whether the layout is the original's, in which the autoencoder's attention is of convolutions, too.
    func storedShape(
        in component: ModelFolder.Component, usesLinearProjection: Bool, isLDM: Bool = false
    ) -> [Int] {
        guard shape.count == 2, component != .textEncoder else { return shape }
        var kernels = ["conv_shortcut.weight", "quant_conv.weight"]
        if component == .unet && !usesLinearProjection { kernels += ["proj_in.weight", "proj_out.weight"] }
        if component == .vae && isLDM { kernels += ["to_q", "to_k", "to_v", "to_out.0"].map { $0 + ".weight" } }
        return kernels.contains { key.hasSuffix($0) } ? shape + [1, 1] : shape
    }
}
