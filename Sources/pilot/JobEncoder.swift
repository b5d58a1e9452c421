import DiffusionModels
import Failures
import ImageFiles
import PilotInpainting

/// The networks around the UNet, which run on rank 0, in float32. Each is loaded when it is needed and gone after, so
/// that its memory is the UNet's meanwhile.
struct JobEncoder: Sendable {
    let materials: JobMaterials
    let workplace: Workplace
    let ledger: PhaseLedger

    /// What each branch works with: the embeddings of the negative prompt and of the prompt, in this order.
    func embeddings(prompts: [String]) async throws -> [BranchInputs] {
        let length = materials.contextLength
        let tokens = prompts.map { materials.tokenizer.prompt($0, contextLength: length) }
        for (name, prompt) in zip(["negative prompt", "prompt"], tokens) {
            guard let dropped = prompt.truncatedText else { continue }
            Console.warn(
                "the \(name) is longer than the \(length) tokens that the text encoder reads; dropped: "
                    + Console.quoted(dropped))
        }
        return try await ledger.measure(.prompts) {
            try await workplace.computeExactly {
                [model = materials.model, mask = materials.inputs.latentMask] context in
                let encoder = try model.textEncoder()
                return try tokens.map { prompt in
                    let embedding = try encoder(prompt.ids, in: context)
                    guard embedding.allSatisfy(\.isFinite) else {
                        throw Failure.internalFault(
                            "the text encoder's output holds a NaN or an infinity; the model's weights may be damaged")
                    }
                    return BranchInputs(
                        embedding: embedding, tokens: prompt.ids.count, width: encoder.configuration.hiddenSize,
                        mask: mask.latent)
                }
            }
        }
    }

    /// z_in: the photograph at the job's size, encoded.
    func imageLatent() async throws -> Latent {
        try await ledger.measure(.encoding) {
            try await workplace.computeExactly { [materials] context in
                let picture = materials.inputs.picture
                return try materials.model.autoencoder().encode(
                    picture.planes, height: picture.height, width: picture.width, in: context)
            }
        }
    }

    /// Decoded latents, `[3, H, W]` about [-1, 1].
    func decoded(_ latents: [Latent]) async throws -> [[Float]] {
        try await workplace.computeExactly { [materials] context in
            let autoencoder = try materials.model.autoencoder()
            return try latents.map { try autoencoder.decode($0, in: context) }
        }
    }
}
