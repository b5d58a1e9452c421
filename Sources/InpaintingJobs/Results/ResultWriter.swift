import Failures
import Foundation
import ImageFiles
import PilotInpainting

/// Makes the result out of what the networks give, and writes it with its record.
struct ResultWriter: Sendable {
    let inputs: JobInputs
    /// Of the job's first picture.
    let record: JobRecord

    /// Photograph, mask, result, and what blending alone makes, side by side, for looking; small ones are enlarged.
    func writeComparison(_ result: RGBImage, blended: RGBImage, to path: String) throws {
        // By the longer side: a picture of one row must not become one of millions.
        let factor = max(1, Self.easilySeen / max(inputs.photograph.width, inputs.photograph.height))
        let strip = RGBImage.strip(
            [inputs.photograph, inputs.mask.picture, result, blended], gap: max(1, inputs.photograph.height / 32),
            enlarged: factor)
        var metadata = PictureMetadata()
        metadata.colours = inputs.metadata.colours
        try strip.writePNG(to: path, metadata: metadata)
    }

    /// In pixels.
    private static let easilySeen = 256

    /// The picture as the result has it: in the photograph's colours, at its size, kept pixels pasted if that is wanted.
    ///
    /// - Parameter decoded: `[3, H, W]` about [-1, 1], sRGB, at the size that the networks see.
    /// - Throws: `Failure.internalFault` if a value is not finite.
    func composed(_ decoded: [Float]) throws -> RGBImage {
        let (size, original) = (inputs.geometry.picture, inputs.geometry.photograph)
        let painted = try RGBImage(planes: decoded, width: size.width, height: size.height)
        // A cell of the latent is not repainted for the sake of some pixels in it: then neither are they.
        if inputs.latentMask.isEmpty { return inputs.photograph }
        let picture = inputs.colours.fromSRGB(painted)
        let atOriginalSize =
            size == original ? picture : picture.resized(width: original.width, height: original.height)
        guard record.settings.pastesKeptPixels else { return atOriginalSize }
        return atOriginalSize.pasted(
            over: inputs.photograph, mask: inputs.mask, feather: record.settings.feather,
            blur: record.settings.maskBlur ?? 0)
    }

    /// Writes the job's picture number `image`, 0 for the first, with its record and the photograph's metadata.
    ///
    /// - Throws: `Failure.inputOutput`.
    func write(_ picture: RGBImage, to path: String, image: Int) throws {
        var record = record
        record.settings.method.seed &+= UInt64(image)
        let textChunks = [parameters(of: record.settings).textChunk, try record.textChunk()]
        guard path != JobOutputs.standardOutput else {
            return try StandardOutput.write(try picture.png(metadata: inputs.metadata, textChunks: textChunks))
        }
        try picture.writePNG(to: path, metadata: inputs.metadata, textChunks: textChunks)
    }

    /// What other tools show: the names are theirs as far as they have one.
    private func parameters(of settings: JobSettings) -> GenerationParameters {
        typealias Setting = GenerationParameters.Setting
        let method = settings.method
        let model = settings.model.split(separator: "/").last.map(String.init) ?? settings.model
        let ofMethod =
            switch method.algorithm {
            case .pilot:
                [
                    Setting("PILOT coherence", "\(method.coherence)"),
                    Setting("PILOT optimize every", "\(method.optimizeEvery)"),
                    Setting("PILOT gradient steps", "\(method.gradientSteps)"),
                ]
            case .inpaint: [Setting("Method", method.algorithm.rawValue)]
            }
        return GenerationParameters(
            prompt: settings.prompt, negativePrompt: settings.negativePrompt,
            settings: [
                Setting("Steps", "\(method.steps)"), Setting("Sampler", "DDIM"),
                Setting("CFG scale", "\(method.guidanceScale)"), Setting("Seed", "\(method.seed)"),
                Setting("Size", "\(inputs.geometry.picture)"), Setting("Model", model),
            ] + ofMethod + [Setting("Version", "pilot-mpi \(record.version)")])
    }
}
