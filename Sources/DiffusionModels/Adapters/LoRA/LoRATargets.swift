import TensorKernels

/// One module of a model that a LoRA may change: a linear layer, or a convolution.
package struct LoRATarget: Sendable, Equatable {
    package let component: ModelFolder.Component
    /// As current diffusers names it.
    package let module: String
    /// Its weight's, as layers ask for it.
    let shape: [Int]

    var key: String { "\(module).weight" }
    /// The positions of a kernel; 1 for a linear layer.
    var area: Int { shape.count == 4 ? shape[2] * shape[3] : 1 }
    var columns: Int { shape.dropFirst().reduce(1, *) }
}

/// All modules of a model that a LoRA may change, and every name that a file may give them.
///
/// A name with underscores for dots is never taken apart: it is looked for among the names that the model's modules
/// have when they are written so.
public struct LoRATargets: Sendable {
    package let all: [LoRATarget]
    /// By the names that files give them.
    private let byName: [String: LoRATarget]
    /// The width of the states that cross-attention takes.
    let contextWidth: Int

    public init(unet: UNetConfiguration, textEncoder: TextEncoderConfiguration) {
        let (unetTensors, textTensors) = (RecordingWeights(), RecordingWeights())
        _ = UNetStage(unet, weights: unetTensors)
        _ = TextEncoder(textEncoder, weights: textTensors)
        self.init(unet, unetTensors: unetTensors.requests, textTensors: textTensors.requests)
    }

    /// - Parameters:
    ///   - unetTensors: what the UNet asks for.
    ///   - textTensors: what the text encoder asks for.
    package init(_ unet: UNetConfiguration, unetTensors: [TensorRequest], textTensors: [TensorRequest]) {
        let original = LDMUNetNaming(configuration: unet)
        let ofUNet = unetTensors.compactMap { LoRATarget(.unet, $0) }
        let ofText = textTensors.compactMap { LoRATarget(.textEncoder, $0) }
        let names =
            ofUNet.map { ($0, LoRANames.ofUNet($0.module, original: original.module($0.module))) }
            + ofText.map { ($0, LoRANames.ofTextEncoder($0.module)) }
        all = ofUNet + ofText
        // Two names for one module are common; one for two there are not, which a test looks at.
        byName = names.reduce(into: [:]) { table, entry in for name in entry.1 { table[name] = entry.0 } }
        contextWidth = unet.crossAttentionDimension
    }

    /// The module that a file gives this name.
    package subscript(name: String) -> LoRATarget? { byName[name] }
}

extension LoRATarget {
    /// The module whose weight a network asks for; nil for norms, biases and embeddings.
    fileprivate init?(_ component: ModelFolder.Component, _ request: TensorRequest) {
        guard request.key.hasSuffix(".weight"), request.shape.count > 1, !request.key.hasPrefix("embeddings.") else {
            return nil
        }
        self.init(component: component, module: String(request.key.dropLast(".weight".count)), shape: request.shape)
    }
}

extension LDMUNetNaming {
    /// A module's name in the original layout, without a prefix.
    fileprivate func module(_ name: String) -> String {
        let key = places(of: "\(name).weight")[0].name
        return String(key.dropFirst(Self.prefix.count).dropLast(".weight".count))
    }
}
