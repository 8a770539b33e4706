"""What people see who follow the link of a mail: in all languages that mail is written in, and without saying whose."""

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Key2Key</title></head>
<body>
{body}
</body>
</html>
"""

QUESTION = _PAGE.format(
    body="""<form method="post">
<p>Shall we stop sending you this kind of mail?</p>
<p lang="am">ይህን ዓይነት ኢሜይል መላክ እናቁም?</p>
<button name="List-Unsubscribe" value="One-Click">Stop · <span lang="am">አቁም</span></button>
</form>"""
)

ANSWER = _PAGE.format(
    body="""<p>If the link was whole, you will get no more mail of this kind. You can switch it on
again in your settings.</p>
<p lang="am">ሊንኩ የተሟላ ከሆነ ከእንግዲህ ይህ ዓይነት ኢሜይል አይላክልዎትም። በቅንብሮችዎ ውስጥ መልሰው ማብራት ይችላሉ።</p>"""
)
