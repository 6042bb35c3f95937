<?php

Trade\visit();
