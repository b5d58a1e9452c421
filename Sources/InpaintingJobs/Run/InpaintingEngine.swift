import DiffusionModels
import PilotInpainting

/// The text encoder's states of one chunk of a prompt.
public struct Embedding: Equatable, Sendable {
    /// `[tokens, width]`, row-major.
    public let values: [Float]
    public let tokens: Int
    public let width: Int

    /// - Precondition: `values.count == tokens * width`.
    public init(values: [Float], tokens: Int, width: Int) {
        precondition(values.count == tokens * width, "an embedding's values must fill its shape")
        self.values = values
        self.tokens = tokens
        self.width = width
    }
}

/// All that jobs ask of the machine: one model's networks, wherever they run.
///
/// Many jobs may ask at once. Equal arguments give equal bits, whatever else is in flight. Every function throws
/// `CancellationError` or a `Failure` of kind `interrupted` when its task is cancelled.
public protocol InpaintingEngine: Sendable {
    /// How many jobs keep all of the machine busy.
    var jobsInFlight: Int { get }
    /// How the machine is used, in a few words, for summaries: `2 ranks of 4 threads, float32, onednn`.
    var layout: String { get }

    /// The text encoder's states of each chunk, read by itself.
    func embed(_ chunks: [TokenChunk]) async throws -> [Embedding]

    /// z_in, scaled, of planes `[3, height, width]` in [-1, 1].
    func encode(_ planes: [Float], height: Int, width: Int) async throws -> Latent

    /// What a T2I-Adapter of the model, 0 for the first, makes of a map: `[C, h, w]` for each level of the UNet.
    func features(ofAdapter number: Int, map: Latent) async throws -> [Latent]

    /// What an IP-Adapter of the model, 0 for the first, makes of a picture in its image encoder's size and colours.
    func imageTokens(ofAdapter number: Int, picture: Latent) async throws -> ImageTokens

    /// Pictures `[3, H, W]` about [-1, 1].
    func decode(_ latents: [Latent]) async throws -> [[Float]]

    /// Runs the sampler for one picture, wherever in the machine there is room for it first; what it held is free when
    /// this returns. Runs are independent of each other; the one that was asked for earlier is the older one.
    ///
    /// - Parameter observer: hears, one at a time and in their order, the events that the run wants, at last
    ///   `PilotEvent.finalLatent`, and of the others at least what somebody who watches needs. An error that it throws
    ///   ends the run.
    /// - Throws: as `PilotSampler.sample`.
    func sample(_ run: SamplerRun, observer: @escaping PilotObserver) async throws -> SampledLatent
}
