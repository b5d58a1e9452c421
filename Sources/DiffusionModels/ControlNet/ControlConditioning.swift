import Foundation
import NeuralLayers
import TensorKernels

/// A ControlNet's share of a stage, with what it works with in one evaluation.
public struct ControlConditioning: Sendable {
    let stage: ControlStage
    /// The prompt, the timestep as this net embeds it, and the masks, which hold in the net as in the UNet: or the prompt
    /// would reach the background through the skips.
    let layers: Conditioning
    /// The map; on the first stage.
    let embedding: Tensor?
    /// What each rung's output is multiplied with, from the top of the whole ladder, and at last the middle's.
    let scales: [Float]

    /// - Parameters:
    ///   - layers: with memories of this net's own.
    ///   - embedding: what `ControlStage.embedded` gives; needed on the first stage.
    ///   - scale: of all outputs.
    ///   - guesses: whether the outputs of the upper rungs count less: output k of n by 10^(k/n - 1), the middle's whole.
    ///     diffusers' `guess_mode`, for a net whose prompt says nothing.
    public init(
        _ stage: ControlStage, layers: Conditioning, embedding: Tensor?, scale: Double, guesses: Bool
    ) {
        precondition(stage.embedding == nil || embedding != nil, "the first stage needs the map")
        self.stage = stage
        self.layers = layers
        self.embedding = embedding
        let count = stage.configuration.encoder.rungCount
        scales = Self.scales(count: count, scale: scale, guesses: guesses)
    }

    static func scales(count: Int, scale: Double, guesses: Bool) -> [Float] {
        (0...count).map { Float(guesses ? scale * pow(10, Double($0) / Double(count) - 1) : scale) }
    }
}
