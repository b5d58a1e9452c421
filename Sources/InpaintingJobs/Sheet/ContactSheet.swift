import Failures
import ImageFiles
import PilotInpainting

/// A batch at a glance: a row for each job with its image, its mask, its result and its prompt.
public enum ContactSheet {
    /// The side of the square that a picture is fitted into, in pixels.
    private static let side = 128
    private static let gap = 8
    private static let textScale = 2
    private static let columns = 40
    private static let lineHeight = (BitmapFont.height + 2) * textScale
    /// A page of these is 27,000 pixels high, which most programs still show.
    static let rowsOfPage = 200

    /// Says of a PNG file that it is a sheet, and may be drawn anew when the batch is run again.
    private static let mark = TextChunk(keyword: "pilot-sheet", text: "the contact sheet of a batch")

    /// Finds out whether a sheet can be written there.
    ///
    /// - Parameter overwrites: whether what is there and is no sheet may be written over.
    /// - Throws: `Failure`.
    public static func check(_ file: String, overwrites: Bool) throws {
        try ResultFormat.checkPNG(file, by: "--sheet", "sheets")
        let isSheet = (try? DecodedImage.read(file).textChunks.contains(mark)) ?? false
        if !overwrites && !isSheet { try AtomicFile.checkAreNew([file]) }
        try AtomicFile.checkWritable(file)
    }

    /// Writes the sheet: one PNG file, or `file-1.png`, `file-2.png`, … for more rows than one can show.
    ///
    /// Pictures are read again, one row at a time. One that can't be read is left grey.
    /// - Throws: `Failure`.
    public static func write(_ entries: [Batch.Entry], to file: String, overwrites: Bool) throws {
        let rows = entries.filter { $0.job != nil }
        guard !rows.isEmpty else { return }
        var pages = JobOutputs(picture: file)
        pages.count = (rows.count + rowsOfPage - 1) / rowsOfPage
        for page in 0..<pages.count {
            let shown = rows[page * rowsOfPage..<min(rows.count, (page + 1) * rowsOfPage)]
            try check(pages.picture(page), overwrites: overwrites)
            try draw(Array(shown)).writePNG(to: pages.picture(page), textChunks: [mark])
        }
    }

    static func draw(_ entries: [Batch.Entry]) -> RGBImage {
        let textWidth = columns * (BitmapFont.width + 1) * textScale
        var canvas = SheetCanvas(
            width: gap + 3 * (side + gap) + textWidth + gap, height: gap + entries.count * (side + gap))
        for (row, entry) in entries.enumerated() {
            guard let job = entry.job else { continue }
            let y = gap + row * (side + gap)
            for (column, thumbnail) in thumbnails(of: job.job, entry.result).enumerated() {
                let x = gap + column * (side + gap)
                canvas.put(
                    thumbnail, x: x + (side - thumbnail.width) / 2, y: y + (side - thumbnail.height) / 2)
            }
            for (index, line) in text(of: job, entry.result).enumerated() {
                canvas.write(line, x: gap + 3 * (side + gap), y: y + index * lineHeight, scale: textScale)
            }
        }
        return canvas.picture
    }

    private static func thumbnails(of job: InpaintingJob, _ result: BatchResult) -> [RGBImage] {
        let settings = job.settings
        let painted =
            settings.takesMaskFromAlpha
            ? (try? DecodedImage.read(settings.image))?.transparencyMask
            : (try? DecodedImage.read(settings.mask))?.paintedMask.grey
        let mask = painted.map { settings.mask($0).picture }
        let isThere = result.status == .done || result.status == .present
        return [
            thumbnail(of: settings.image), fitted(mask), isThere ? thumbnail(of: job.outputs.picture) : fitted(nil),
        ]
    }

    /// In sRGB, since a sheet has pictures of any colour space.
    private static func thumbnail(of file: String) -> RGBImage {
        guard let picture = try? DecodedImage.read(file) else { return fitted(nil) }
        return picture.colours.toSRGB(fitted(picture.rgb))
    }

    /// The picture in a square of `side`: small ones enlarged by a whole factor, large ones reduced; grey for none.
    private static func fitted(_ picture: RGBImage?) -> RGBImage {
        guard let picture else {
            return RGBImage(width: side, height: side, bytes: [UInt8](repeating: 224, count: 3 * side * side))
        }
        let longest = max(picture.width, picture.height)
        if longest <= side { return RGBImage.strip([picture], enlarged: side / longest) }
        func reduced(_ length: Int) -> Int { max(1, length * side / longest) }
        return picture.resized(width: reduced(picture.width), height: reduced(picture.height))
    }

    /// The name, the prompt, and what came of the job: as many lines as a row has room for.
    private static func text(of job: BatchJob, _ result: BatchResult) -> [String] {
        let room = side / lineHeight
        let outcome: String
        switch result.status {
        case .done, .present: outcome = "seed \(job.job.settings.method.seed)"
        case .failed, .refused: outcome = "failed: \(result.error ?? "")"
        }
        let last = wrapped(outcome, lines: 2)
        return wrapped("\(job.line) \(job.name)", lines: 1)
            + wrapped(job.job.settings.prompt, lines: room - 1 - last.count) + last
    }

    /// The text in lines of `columns` characters, broken at spaces where there are some.
    package static func wrapped(_ text: String, lines limit: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(whereSeparator: \.isWhitespace) {
            var rest = word
            if !line.isEmpty, line.count + 1 + rest.count > columns {
                lines.append(line)
                line = ""
            }
            while rest.count > columns {
                lines.append(String(rest.prefix(columns)))
                rest = rest.dropFirst(columns)
            }
            line += line.isEmpty ? rest : " \(rest)"
        }
        if !line.isEmpty { lines.append(line) }
        guard lines.count > limit, limit > 0 else { return Array(lines.prefix(max(0, limit))) }
        return lines.prefix(limit - 1) + [lines[limit - 1].prefix(columns - 3) + "..."]
    }
}

extension BinaryMask {
    /// The mask for looking: white is repainted.
    var picture: RGBImage {
        RGBImage(
            width: width, height: height, bytes: values.flatMap { [UInt8](repeating: $0 == 1 ? 255 : 0, count: 3) })
    }
}
