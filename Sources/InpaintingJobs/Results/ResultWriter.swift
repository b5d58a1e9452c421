import Failures
import Foundation
import ImageFiles
import PilotInpainting

/// Makes the result out of what the networks give, and writes it with its record.
struct ResultWriter: Sendable {
    let inputs: JobInputs
    /// Of the job's first picture.
    let record: JobRecord

    /// Photograph, mask, result, and what blending alone makes, side by side, for looking; of cuts these alone, one below
    /// the other. Small pictures are enlarged.
    ///
    /// - Parameters:
    ///   - painted: the parts as `painted` gives them.
    ///   - blended: likewise.
    func writeComparison(_ painted: [RGBImage?], blended: [RGBImage?], to path: String) throws {
        let sides = inputs.parts.map { max($0.geometry.original.width, $0.geometry.original.height) }
        // By the longer side: a picture of one row must not become one of millions.
        let factor = max(1, Self.easilySeen / (sides.max() ?? 1))
        let rows = zip(inputs.parts, zip(painted, blended)).map { part, made in
            let photograph = inputs.photograph.cut(part.box)
            func result(_ painted: RGBImage?) -> RGBImage {
                var result = photograph
                if let painted { paste(painted, of: part, into: &result, x: 0, y: 0) }
                return result
            }
            return RGBImage.strip(
                [photograph, part.mask.picture, result(made.0), result(made.1)], gap: max(1, photograph.height / 32),
                enlarged: factor)
        }
        var metadata = PictureMetadata()
        metadata.colours = inputs.metadata.colours
        try RGBImage.stack(rows, gap: factor * max(1, (rows.first?.height ?? 0) / factor / 32)).writePNG(
            to: path, metadata: metadata)
    }

    /// In pixels.
    private static let easilySeen = 256

    /// A part as the networks have painted it, in the photograph's colours and at its size there; nil if all of the
    /// photograph is kept there.
    ///
    /// - Parameter decoded: `[3, H, W]` about [-1, 1], sRGB, at the size that the networks see.
    /// - Throws: `Failure.internalFault` if a value is not finite.
    func painted(_ decoded: [Float], _ part: JobPart) throws -> RGBImage? {
        let (size, original) = (part.geometry.picture, part.geometry.original)
        let painted = try RGBImage(planes: decoded, width: size.width, height: size.height)
        // A cell of the latent is not repainted for the sake of some pixels in it: then neither are they.
        if part.latentMask.isEmpty { return nil }
        let picture = inputs.colours.fromSRGB(painted)
        return size == original ? picture : picture.resized(width: original.width, height: original.height)
    }

    /// The picture as the result has it: kept pixels are the photograph's, if that is wanted.
    ///
    /// - Parameter painted: the parts as `painted` gives them.
    func composed(_ painted: [RGBImage?]) -> RGBImage {
        var result = inputs.photograph
        for (part, painted) in zip(inputs.parts, painted) {
            guard let painted else { continue }
            paste(painted, of: part, into: &result, x: part.box.x.lowerBound, y: part.box.y.lowerBound)
        }
        return result
    }

    private func paste(_ painted: RGBImage, of part: JobPart, into picture: inout RGBImage, x: Int, y: Int) {
        let settings = record.settings
        picture.paste(
            painted, x: x, y: y, mask: settings.pastesKeptPixels ? part.mask : nil, feather: settings.feather)
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
        return GenerationParameters(
            prompt: settings.prompt, negativePrompt: settings.negativePrompt,
            settings: [
                Setting("Steps", "\(method.steps)"), Setting("Sampler", "DDIM"),
                Setting("CFG scale", "\(method.guidanceScale)"), Setting("Seed", "\(method.seed)"),
                Setting("Size", "\(inputs.parts[0].geometry.picture)"), Setting("Model", model),
                Setting("PILOT coherence", "\(method.coherence)"),
                Setting("PILOT optimize every", "\(method.optimizeEvery)"),
                Setting("PILOT gradient steps", "\(method.gradientSteps)"),
                Setting("Version", "pilot-mpi \(record.version)"),
            ])
    }
}
