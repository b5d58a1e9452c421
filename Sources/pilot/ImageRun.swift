import DiffusionModels
import PilotInpainting
import ShardedRuntime

extension DistributedPredictor: NoisePredictor {}

/// What one picture of a job begins with.
struct ImageStart: Sendable {
    /// The picture's number in the job, 0 for the first.
    let index: Int
    let embeddings: [BranchInputs]
    /// The latent to start from; noise without one.
    let latent: Latent?
}

/// One picture: the sampler's run and those who watch it.
struct ImageRun: Sendable {
    let sampler: PilotSampler
    let encoder: JobEncoder
    let progress: ProgressReport
    let ledger: PhaseLedger

    /// The decoded picture, `[3, H, W]` about [-1, 1].
    ///
    /// - Parameters:
    ///   - dump: takes down everything on the way.
    ///   - previews: gets the reconstructions of each optimised step.
    func sample(
        _ start: ImageStart, on predictor: DistributedPredictor, dump: TensorDump? = nil,
        previews: PreviewWriter? = nil
    ) async throws -> [Float] {
        if let dump { describe(start.embeddings, in: dump) }
        ledger.setMark()
        let final = try await sampler.sample(image: start.index, initialLatent: start.latent, predictor: predictor) {
            event in
            ledger.observe(event)
            progress.observe(event, image: start.index)
            dump?.observe(event)
            if let previews { try await preview(event, previews) }
            ledger.setMark()
        }
        let decoded = try await ledger.measure(.decoding) { try await encoder.decoded([final])[0] }
        let size = encoder.materials.inputs.geometry.picture
        dump?.add("decoded", decoded, shape: [3, size.height, size.width])
        return decoded
    }

    private func describe(_ embeddings: [BranchInputs], in dump: TensorDump) {
        dump.add("image_latent", sampler.imageLatent)
        dump.add("latent_mask", sampler.mask.values, shape: [sampler.mask.height, sampler.mask.width])
        for (name, branch) in [
            ("prompt_embedding", GuidanceBranch.conditional), ("negative_prompt_embedding", .unconditional),
        ] {
            let inputs = embeddings[branch.rawValue]
            dump.add(name, inputs.embedding, shape: [inputs.tokens, inputs.width])
        }
    }

    private func preview(_ event: PilotEvent, _ writer: PreviewWriter) async throws {
        guard case .reconstructions(let step, let unconditional, let conditional, let guided) = event else { return }
        try await ledger.measure(.previews) {
            let pictures = try await encoder.decoded([unconditional, conditional, guided])
            try writer.write(pictures, step: step.index, timestep: step.timestep)
        }
    }
}
