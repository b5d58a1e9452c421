import Failures
import Foundation
import ImageFiles
import PilotInpainting

/// Makes the result out of what the networks give, and writes it with its record.
struct ResultWriter: Sendable {
    let inputs: JobInputs
    /// Of the job's first picture.
    let record: JobRecord
    /// Gets the picture in place of its file, if the next edit alone wants it.
    let kept: KeptPicture?

    /// Photograph, mask, the networks' maps, result, and what blending alone makes, side by side, for looking; of cuts
    /// these alone, one below the other. Small pictures are enlarged.
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
                if let painted {
                    result.paste(
                        painted, mask: mask(of: part), feather: record.settings.feather,
                        blur: record.settings.maskBlur ?? 0)
                }
                return result
            }
            let maps = (part.controlMaps + part.adapterMaps).map {
                $0.picture.resized(width: photograph.width, height: photograph.height, filter: .nearest)
            }
            return RGBImage.strip(
                [photograph, part.mask.picture] + maps + [result(made.0), result(made.1)],
                gap: max(1, photograph.height / 32), enlarged: factor)
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

    /// Writes the job's picture number `image`, 0 for the first, with its record and the photograph's metadata. Kept
    /// pixels are the photograph's, if that is wanted, with all their bits.
    ///
    /// - Parameter painted: the parts as `painted` gives them.
    /// - Throws: `Failure.inputOutput`.
    func write(_ painted: [RGBImage?], to path: String, image: Int) throws {
        var record = record
        record.settings.method.seed &+= UInt64(image)
        let texts = [parameters(of: record.settings).textChunk, try record.textChunk()]
        func write(_ file: UnsafeRawBufferPointer) throws {
            if let kept { return kept.keep([UInt8](file)) }
            if path == JobOutputs.standardOutput { return try StandardOutput.write([UInt8](file)) }
            try AtomicFile.write(to: path) { try $0.write(file) }
        }
        let format = record.settings.resultFormat
        if format == .png, var deep = inputs.deep {
            for place in placed(painted) {
                deep.paste(
                    place.painted, x: place.x, y: place.y, mask: place.mask, feather: record.settings.feather,
                    blur: record.settings.maskBlur ?? 0)
            }
            return try deep.withPNG(of: inputs.metadata, texts, write)
        }
        var picture = inputs.photograph
        for place in placed(painted) {
            picture.paste(
                place.painted, x: place.x, y: place.y, mask: place.mask, feather: record.settings.feather,
                blur: record.settings.maskBlur ?? 0)
        }
        switch format {
        case .png: try picture.withPNG(of: inputs.metadata, texts, write)
        case .jpeg:
            try picture.withJPEG(
                quality: record.settings.jpegQuality ?? JobSettings.usualJPEGQuality, of: inputs.metadata, texts, write)
        case .webp: try picture.withWebP(quality: record.settings.webp?.quality, of: inputs.metadata, texts, write)
        }
    }

    /// What is painted, and where it goes.
    private func placed(_ painted: [RGBImage?]) -> [(painted: RGBImage, x: Int, y: Int, mask: BinaryMask?)] {
        zip(inputs.parts, painted).compactMap { part, painted in
            painted.map { ($0, part.box.x.lowerBound, part.box.y.lowerBound, mask(of: part)) }
        }
    }

    /// Where the painted part counts; nil for everywhere.
    private func mask(of part: JobPart) -> BinaryMask? { record.settings.pastesKeptPixels ? part.mask : nil }

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
                Setting("Size", "\(inputs.parts[0].geometry.picture)"), Setting("Model", model),
            ] + ofMethod + [Setting("Version", "pilot-mpi \(record.version)")])
    }
}
